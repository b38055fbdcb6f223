import { mkdtempSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort, isInstalled, removeFolder, ServerProcess } from './server-process.ts'

export { freePort } from './server-process.ts'

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
  return [...(named === undefined ? [] : [named]), 'redis-server', 'valkey-server'].find(isInstalled)
}

/** Starts a server without persistence. Fails when none is installed; suites ask `redisBinary` first. */
export async function startRedis({ args = [], port: wanted }: RedisServerSettings = {}): Promise<RedisServer> {
  if (redisBinary === undefined) throw new Error('no redis-server is installed')
  const port = wanted ?? (await freePort())
  const dir = mkdtempSync(join(tmpdir(), 'forge-redis-'))
  let server: ServerProcess | undefined
  const start = async (): Promise<void> => {
    const fixed = ['--port', String(port), '--bind', '127.0.0.1', '--dir', dir, '--save', '', '--appendonly', 'no']
    server = new ServerProcess(redisBinary!, [...fixed, ...args])
    await server.answering('redis-server', () => isUp(port), 60_000)
  }
  const end = async (signal: NodeJS.Signals): Promise<void> => server?.end(signal)
  await start()
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    start,
    admin: (...command) => once(port, command),
    pause: () => server?.pause(),
    resume: () => server?.resume(),
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
    async [Symbol.asyncDispose]() {
      await end('SIGKILL')
      removeFolder(dir)
    },
  }
}

/** With a password it answers as well: that it wants one. */
async function isUp(port: number): Promise<boolean> {
  return /^[+-](?:PONG|NOAUTH)/.test(await once(port, ['PING']).catch(() => ''))
}

/** The raw answer, as the protocol writes it. */
function once(port: number, command: readonly string[]): Promise<string> {
  return new Promise((done, fail) => {
    const socket = connect(port, '127.0.0.1')
    let answer = ''
    const parts = command.map((part) => `$${Buffer.byteLength(part)}\r\n${part}\r\n`)
    socket.setEncoding('utf8').setTimeout(10_000, () => socket.destroy(new Error('redis-server does not answer')))
    socket.on('error', fail).on('close', () => done(answer))
    socket.on('data', (text: string) => (answer += text))
    // QUIT makes the server close the connection behind the last answer.
    socket.on('connect', () => socket.write(`*${command.length}\r\n${parts.join('')}*1\r\n$4\r\nQUIT\r\n`))
  })
}
