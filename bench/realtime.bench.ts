/** Thousands of idle streams on one process: their memory, the answers of other routes meanwhile, and from emit to reader. */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import type { Bench, Settings } from './bench.ts'
import { openDatabase } from './database.ts'
import { leaveServerCore, pinned } from './processes.ts'
import { claim, median } from './statistics.ts'
import type { Claim } from './statistics.ts'

/** What is promised: milliseconds, and KiB of resident memory for a stream. */
const promised = { latencyMs: 20, othersMs: 50, streamKb: 64 }

interface Running {
  readonly url: URL
  rssKb(): number
  stop(): Promise<void>
}

async function start(databaseUrl: string): Promise<Running> {
  const script = join(import.meta.dirname, 'realtime/server.ts')
  const command = [...(pinned ? ['taskset', '-c', '0'] : []), process.execPath, ...process.execArgv, script]
  const child = spawn(command[0]!, command.slice(1), {
    env: {
      PATH: process.env['PATH'],
      ...(process.env['NODE_OPTIONS'] !== undefined && { NODE_OPTIONS: process.env['NODE_OPTIONS'] }),
      DATABASE_URL: databaseUrl,
      PORT: '0',
      FORGE_SECRET: 'only for a benchmark, and 32 bytes',
      FORGE_LOG_LEVEL: 'warn',
      FORGE_REALTIME_MAX_PER_USER: '100000',
      FORGE_REALTIME_MAX_PER_TENANT: '100000',
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let told = ''
  const exited = new Promise<void>((done) => child.once('close', () => done()))
  const url = await new Promise<URL>((found, fail) => {
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      told += text
      const match = /^url (\S+)$/m.exec(told)
      if (match !== null) found(new URL(match[1]!))
    })
    void exited.then(() => fail(new Error(`the server ended: ${told}`)))
  })
  return {
    url,
    rssKb: () => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))![1]),
    stop: async () => {
      child.kill('SIGTERM')
      await exited
    },
  }
}

/** One stream over a bare socket, so that the readers cost little. */
function follow(
  { url }: Running,
  token: string,
  topic: string,
  onText: (text: string) => void = () => {},
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(url.port), url.hostname)
    let opened = false
    socket.setEncoding('utf8')
    socket.on('data', (text: string) => {
      if (!opened) {
        opened = true
        if (text.startsWith('HTTP/1.1 200')) resolve(socket)
        else reject(new Error(text.slice(0, 500)))
      }
      onText(text)
    })
    socket.once('error', reject)
    socket.once('close', () => reject(new Error('a stream was closed')))
    socket.write(
      `GET /api/v1/stream?topics=${topic} HTTP/1.1\r\nHost: ${url.host}\r\nAuthorization: Bearer ${token}\r\n\r\n`,
    )
  })
}

function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!
}

const now = (): number => performance.timeOrigin + performance.now()
const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms))

async function measure(server: Running, { rounds, seconds, note, ...settings }: Settings): Promise<Claim[]> {
  // As few as a quick run asks for requests.
  const streams = settings.memoryRequests >= 100_000 ? 5000 : 1000
  const post = async (path: string, token?: string, body?: object): Promise<Response> =>
    fetch(new URL(path, server.url), {
      method: 'POST',
      headers: {
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
  const welcome = await post('/api/v1/auth/register', undefined, {
    email: 'bench@example.com',
    password: 'a long enough pass phrase 9',
    name: 'Bench',
  })
  const { data } = (await welcome.json()) as { data: { tokens: { access_token: string } } }
  const token = data.tokens.access_token
  const me = async (): Promise<number> => {
    const begun = performance.now()
    const answer = await fetch(new URL('/api/v1/auth/me', server.url), {
      headers: { authorization: `Bearer ${token}` },
    })
    await answer.arrayBuffer()
    if (answer.status !== 200) throw new Error(`/me answered ${answer.status}`)
    return performance.now() - begun
  }
  const others = async (forMs: number): Promise<number[]> => {
    const times: number[] = []
    const end = performance.now() + forMs
    await Promise.all(
      Array.from({ length: 4 }, async () => {
        while (performance.now() < end) times.push(await me())
      }),
    )
    return times
  }
  await others(2000)

  const before = server.rssKb()
  const sockets: Socket[] = []
  for (let opened = 0; opened < streams; opened += 100)
    sockets.push(...(await Promise.all(Array.from({ length: 100 }, () => follow(server, token, 'quiet')))))
  await pause(3000)
  const perStream = (server.rssKb() - before) / streams
  note(`${streams} idle streams: ${perStream.toFixed(1)} KiB of resident memory each`)

  const latencies: number[] = []
  let rest = ''
  let arrived: (() => void) | undefined
  sockets.push(
    await follow(server, token, 'loud', (text) => {
      rest += text
      for (let end = rest.indexOf('\n\n'); end !== -1; end = rest.indexOf('\n\n')) {
        const sentAt = /"at":([\d.]+)/.exec(rest.slice(0, end))?.[1]
        rest = rest.slice(end + 2)
        if (sentAt === undefined) continue
        latencies.push(now() - Number(sentAt))
        arrived?.()
      }
    }),
  )
  const p50s: number[] = []
  const p99s: number[] = []
  const told: number[] = []
  for (let round = 0; round < rounds; round++) {
    p99s.push(percentile(await others(seconds * 1000), 0.99))
    const [busy] = await Promise.all([
      others(seconds * 1000),
      pause(seconds * 500).then(() => post('/emit/quiet', token)),
    ])
    told.push(percentile(busy, 0.99))
    latencies.length = 0
    for (let sent = 0; sent < 40; sent++) {
      const there = new Promise<void>((done) => (arrived = done))
      await post('/emit/loud', token)
      await there
      await pause(20 + Math.random() * 30)
    }
    p50s.push(median(latencies))
  }
  note(
    `other routes p99 ${median(p99s).toFixed(1)} ms, ${median(told).toFixed(1)} ms in the second of an event to all of them`,
  )
  note(`emit to reader p50 ${median(p50s).toFixed(1)} ms`)
  for (const socket of sockets) {
    socket.removeAllListeners('close')
    socket.destroy()
  }
  const bound = (value: number): number[] => p50s.map(() => value)
  return [
    claim('realtime.latency.promised', p50s, bound(promised.latencyMs)),
    claim('realtime.others.promised', p99s, bound(promised.othersMs)),
    claim('realtime.memory.promised', [perStream], [promised.streamKb]),
  ]
}

export const bench: Bench = {
  bars: {
    'realtime.latency.promised': { atMost: 1 },
    'realtime.others.promised': { atMost: 1 },
    'realtime.memory.promised': { atMost: 1 },
  },
  async run(settings) {
    leaveServerCore()
    const database = await openDatabase()
    try {
      const server = await start(database.url)
      try {
        return await measure(server, settings)
      } finally {
        await server.stop()
      }
    } finally {
      await database.remove()
    }
  },
}
