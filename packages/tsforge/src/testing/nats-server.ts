import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort, greeted, isInstalled, removeFolder, ServerProcess } from './server-process.ts'

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
export const hasNats: boolean = isInstalled('nats-server')
if (!hasNats && process.env['FORGE_TEST_NO_SKIP'] === '1') throw new Error('no nats-server is installed')

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
  let server: ServerProcess | undefined
  const start = async (): Promise<void> => {
    server = new ServerProcess('nats-server', ['--config', file])
    // It greets who connects when JetStream is there.
    const isUp = (): Promise<boolean> => greeted(port, (bytes) => bytes.toString().startsWith('INFO '))
    await server.answering('nats-server', isUp, startMs)
  }
  const kill = async (): Promise<void> => server?.end()
  await start()
  return {
    url: `nats://127.0.0.1:${port}`,
    port,
    start,
    kill,
    pause: () => server?.pause(),
    resume: () => server?.resume(),
    async [Symbol.asyncDispose]() {
      await kill()
      removeFolder(dir)
    },
  }
}
