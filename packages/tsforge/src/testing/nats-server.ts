import { execFileSync, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './redis-server.ts'

/** A nats-server with JetStream of a test's own, on a free port of loopback. */
export interface NatsServer extends AsyncDisposable {
  readonly url: string
  readonly port: number
  /** Stops answering, with every connection open (SIGSTOP). */
  pause(): void
  resume(): void
  /** Dies at once (SIGKILL); what it had confirmed lies in its files. */
  kill(): Promise<void>
  /** Comes back at the same port, with the files that it had. */
  start(): Promise<void>
}

export interface NatsServerSettings {
  /** Lines of its configuration, e.g. `authorization { user: a, password: b }`. */
  readonly config?: string
  /** Default 20 s. */
  readonly startMs?: number
}

/**
 * Whether suites that need a server can run: `describe.runIf(hasNats)`. Debian has it: `apt-get install nats-server`.
 * Where FORGE_TEST_NO_SKIP is set one that is absent is an error, so that nothing skips itself unseen.
 */
export const hasNats: boolean = isInstalled()
if (!hasNats && process.env['FORGE_TEST_NO_SKIP'] === '1') throw new Error('no nats-server is installed')

function isInstalled(): boolean {
  try {
    execFileSync('nats-server', ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** Starts one, in about a tenth of a second. Its files go with it. */
export async function startNats({ config = '', startMs = 20_000 }: NatsServerSettings = {}): Promise<NatsServer> {
  if (!hasNats) throw new Error('no nats-server is installed')
  const port = await freePort()
  const dir = mkdtempSync(join(tmpdir(), 'forge-nats-'))
  const file = join(dir, 'nats.conf')
  writeFileSync(
    file,
    `host: 127.0.0.1\nport: ${port}\njetstream { store_dir: "${dir}", max_mem: 64MB, max_file: 256MB }\n${config}\n`,
  )
  let child: ChildProcess | undefined
  let ended: Promise<void> = Promise.resolve()
  const start = async (): Promise<void> => {
    const started = spawn('nats-server', ['--config', file], { stdio: 'ignore' })
    child = started
    ended = new Promise((done) => void started.once('exit', () => done()).once('error', () => done()))
    await answering(port, startMs, () => started.exitCode !== null || started.signalCode !== null)
  }
  const kill = async (): Promise<void> => {
    child?.kill('SIGKILL')
    await ended
  }
  await start()
  return {
    url: `nats://127.0.0.1:${port}`,
    port,
    start,
    kill,
    pause: () => void child?.kill('SIGSTOP'),
    resume: () => void child?.kill('SIGCONT'),
    async [Symbol.asyncDispose]() {
      await kill()
      rmSync(dir, { recursive: true, force: true, maxRetries: 20, retryDelay: 20 })
    },
  }
}

/** Waits until it greets who connects: it does so when JetStream is there. */
async function answering(port: number, startMs: number, dead: () => boolean): Promise<void> {
  const until = Date.now() + startMs
  for (;;) {
    if (await greeted(port)) return
    if (dead()) throw new Error('nats-server ended right after its start')
    if (Date.now() > until) throw new Error('nats-server does not answer')
    await new Promise((wait) => setTimeout(wait, 10))
  }
}

function greeted(port: number): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(port, '127.0.0.1')
    socket.setTimeout(2000, () => socket.destroy())
    socket.once('data', (bytes) => {
      done(bytes.toString().startsWith('INFO '))
      socket.destroy()
    })
    socket.on('error', () => done(false)).on('close', () => done(false))
  })
}
