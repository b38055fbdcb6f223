import { execFileSync, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A redis-server (or valkey-server) of a test's own, on a free port of loopback. */
export interface RedisServer extends AsyncDisposable {
  readonly url: string
  readonly port: number
  /** One command over a connection of its own that nothing else uses: `admin('CONFIG', 'SET', 'maxmemory', '1mb')`. */
  admin(...args: string[]): Promise<string>
  /** Stops answering, with every connection open (SIGSTOP). */
  pause(): void
  resume(): void
  /** Dies at once and loses what it has. */
  kill(): Promise<void>
  /** Ends in good order (SIGTERM). */
  stop(): Promise<void>
  /** Comes back at the same port, empty. */
  start(): Promise<void>
}

export interface RedisServerSettings {
  /** Further arguments, e.g. `['--requirepass', 'secret']`. */
  readonly args?: readonly string[]
  readonly port?: number
}

/** Path of the server that tests use: FORGE_TEST_REDIS_SERVER, else `redis-server` or `valkey-server` of the PATH. */
export const redisBinary: string | undefined = findBinary()

/**
 * Whether suites that need a server can run: `describe.runIf(hasRedis)`. Where FORGE_TEST_NO_SKIP is set a server that is
 * absent is an error, so that nothing skips itself unseen.
 */
export const hasRedis: boolean = redisBinary !== undefined
if (!hasRedis && process.env['FORGE_TEST_NO_SKIP'] === '1') throw new Error('no redis-server is installed')

function findBinary(): string | undefined {
  const named = process.env['FORGE_TEST_REDIS_SERVER']
  return [...(named === undefined ? [] : [named]), 'redis-server', 'valkey-server'].find((name) => {
    try {
      execFileSync(name, ['--version'], { stdio: 'ignore' })
      return true
    } catch {
      return false
    }
  })
}

/** Starts a server without persistence. Fails when none is installed; suites ask `redisBinary` first. */
export async function startRedis({ args = [], port: wanted }: RedisServerSettings = {}): Promise<RedisServer> {
  if (redisBinary === undefined) throw new Error('no redis-server is installed')
  const port = wanted ?? (await freePort())
  const dir = mkdtempSync(join(tmpdir(), 'forge-redis-'))
  let child: ChildProcess | undefined
  let ended: Promise<void> = Promise.resolve()
  const start = async (): Promise<void> => {
    const fixed = ['--port', String(port), '--bind', '127.0.0.1', '--dir', dir, '--save', '', '--appendonly', 'no']
    child = spawn(redisBinary!, [...fixed, ...args], { stdio: 'ignore' })
    const started = child
    ended = new Promise((done) => void started.once('exit', () => done()).once('error', () => done()))
    await answering(port, () => started.exitCode !== null || started.signalCode !== null)
  }
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    child?.kill(signal)
    // A stopped process takes no other signal.
    child?.kill('SIGCONT')
    await ended
  }
  await start()
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    start,
    admin: (...command) => once(port, command),
    pause: () => void child?.kill('SIGSTOP'),
    resume: () => void child?.kill('SIGCONT'),
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
    async [Symbol.asyncDispose]() {
      await end('SIGKILL')
      rmSync(dir, { recursive: true, force: true, maxRetries: 20, retryDelay: 20 })
    },
  }
}

export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((done, fail) => server.once('error', fail).listen(0, '127.0.0.1', done))
  const { port } = server.address() as { port: number }
  await new Promise((done) => server.close(done))
  return port
}

async function answering(port: number, dead: () => boolean): Promise<void> {
  const until = Date.now() + 10_000
  for (;;) {
    const answer = await once(port, ['PING']).catch(() => '')
    // With a password it answers as well: that it wants one.
    if (/^[+-](?:PONG|NOAUTH)/.test(answer)) return
    if (dead()) throw new Error('redis-server ended right after its start')
    if (Date.now() > until) throw new Error('redis-server does not answer')
    await new Promise((wait) => setTimeout(wait, 10))
  }
}

/** The raw answer, as the protocol writes it. */
function once(port: number, command: readonly string[]): Promise<string> {
  return new Promise((done, fail) => {
    const socket = connect(port, '127.0.0.1')
    let answer = ''
    const parts = command.map((part) => `$${Buffer.byteLength(part)}\r\n${part}\r\n`)
    socket.setEncoding('utf8').setTimeout(2000, () => socket.destroy(new Error('redis-server does not answer')))
    socket.on('error', fail).on('close', () => done(answer))
    socket.on('data', (text: string) => (answer += text))
    // QUIT makes the server close the connection behind the last answer.
    socket.on('connect', () => socket.write(`*${command.length}\r\n${parts.join('')}*1\r\n$4\r\nQUIT\r\n`))
  })
}
