import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort, greeted, removeFolder, ServerProcess } from './server-process.ts'

/** A RabbitMQ of a test's own: its node, its epmd and its files, on free ports of loopback. */
export interface RabbitmqServer extends AsyncDisposable {
  /** With the user `guest`. */
  readonly url: string
  readonly port: number
  /** Dies at once (SIGKILL); what it had confirmed lies in its files. */
  kill(): Promise<void>
  /** Comes back at the same port, with the files that it had. */
  start(): Promise<void>
}

export interface RabbitmqServerSettings {
  /** Lines of its configuration, e.g. `max_message_size = 1024`. */
  readonly config?: string
  /** Default 120 s: a busy machine takes long to start one. */
  readonly startMs?: number
}

/** The script of the package itself: what Debian puts in front of it runs as another user, in folders of the machine. */
const script = '/usr/lib/rabbitmq/bin/rabbitmq-server'

/**
 * Whether suites that need a server can run: `describe.runIf(hasRabbitmq)`. Debian has it: `apt-get install
 * rabbitmq-server`. Where FORGE_TEST_NO_SKIP is set one that is absent is an error, so that nothing skips itself unseen.
 */
export const hasRabbitmq: boolean = existsSync(script)
if (!hasRabbitmq && process.env['FORGE_TEST_NO_SKIP'] === '1') throw new Error('no rabbitmq-server is installed')

/** Starts one, in about four seconds. Everything of it goes with it. */
export async function startRabbitmq(settings: RabbitmqServerSettings = {}): Promise<RabbitmqServer> {
  const { config = '', startMs = 120_000 } = settings
  if (!hasRabbitmq) throw new Error('no rabbitmq-server is installed')
  const [port, dist, epmdPort] = [await freePort(), await freePort(), await freePort()]
  const dir = mkdtempSync(join(tmpdir(), 'forge-rabbitmq-'))
  const env = environment(dir, port, dist, epmdPort, config)
  // Erlang's register of nodes would be started as a daemon that outlives the node.
  const epmd = new ServerProcess('epmd', ['-address', '127.0.0.1', '-port', String(epmdPort)], env)
  let node: ServerProcess | undefined
  const start = async (): Promise<void> => {
    node = new ServerProcess(script, [], env)
    // It greets who begins to speak AMQP.
    const isUp = (): Promise<boolean> => greeted(port, (bytes) => bytes[0] === 1, 'AMQP\0\0\u0009\u0001')
    await node.answering('rabbitmq-server', isUp, startMs).catch((error: Error) => {
      throw new Error(`${error.message}\n${logOf(dir)}`, { cause: error })
    })
  }
  const dispose = async (): Promise<void> => {
    await node?.end()
    await epmd.end()
    removeFolder(dir)
  }
  try {
    await start()
  } catch (error) {
    await dispose()
    throw error
  }
  return {
    url: `amqp://guest:guest@127.0.0.1:${port}`,
    port,
    start,
    kill: async () => node?.end(),
    [Symbol.asyncDispose]: dispose,
  }
}

/** https://www.rabbitmq.com/docs/configure#supported-environment-variables */
function environment(dir: string, port: number, dist: number, epmdPort: number, config: string): NodeJS.ProcessEnv {
  writeFileSync(join(dir, 'plugins'), '[].\n')
  writeFileSync(join(dir, 'rabbitmq-env.conf'), '')
  writeFileSync(
    join(dir, 'rabbitmq.conf'),
    `listeners.tcp.1 = 127.0.0.1:${port}\nvm_memory_high_watermark.absolute = 512MB\ndisk_free_limit.absolute = 1MB\nlog.file.level = warning\n${config}\n`,
  )
  return {
    PATH: process.env['PATH'],
    // Of Erlang's cookie.
    HOME: dir,
    LANG: 'C.UTF-8',
    ERL_EPMD_PORT: String(epmdPort),
    ERL_EPMD_ADDRESS: '127.0.0.1',
    ERL_MAX_PORTS: '4096',
    // The virtual machine takes the place of the script, so that its pid is the one to kill.
    RUNNING_UNDER_SYSTEMD: 'true',
    RABBITMQ_NODENAME: `forge-${port}@localhost`,
    RABBITMQ_NODE_PORT: String(port),
    RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1',
    RABBITMQ_DIST_PORT: String(dist),
    RABBITMQ_CONF_ENV_FILE: join(dir, 'rabbitmq-env.conf'),
    RABBITMQ_CONFIG_FILE: join(dir, 'rabbitmq.conf'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(dir, 'plugins'),
    RABBITMQ_BASE: dir,
    RABBITMQ_MNESIA_BASE: join(dir, 'mnesia'),
    RABBITMQ_LOG_BASE: join(dir, 'log'),
    RABBITMQ_PID_FILE: join(dir, 'pid'),
    // Distribution on loopback; schedulers that do not spin, for machines with few processors.
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS:
      '-start_epmd false -kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none',
  }
}

function logOf(dir: string): string {
  try {
    return readFileSync(join(dir, 'log', 'erl_crash.dump'), 'utf8').slice(0, 2000)
  } catch {
    return ''
  }
}
