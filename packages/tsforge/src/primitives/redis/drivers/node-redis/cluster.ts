import type { CommandArguments, OpenSettings, RedisWire, Reply } from '../../driver.ts'
import type { NodeRedisClient } from './client.ts'
import { sendOptions } from './client.ts'

/** What we use of a cluster client of the package `redis`. */
export interface NodeRedisCluster {
  readonly isOpen: boolean
  readonly masters: readonly object[]
  sendCommand(
    firstKey: string | Buffer | undefined,
    isReadonly: boolean | undefined,
    args: (string | Buffer)[],
    options?: object,
  ): Promise<unknown>
  nodeClient(node: never): NodeRedisClient | Promise<NodeRedisClient>
  on(event: string, listener: (...args: never[]) => void): unknown
  off(event: string, listener: (...args: never[]) => void): unknown
  connect(): Promise<unknown>
  destroy(): void
}

const ignore = (): void => {}

/**
 * Opens a cluster client of ours. It follows the slots and brings lost nodes back by itself, so it ends only when we
 * end it; while a node is away its keys fail at once and the other nodes serve.
 */
export async function openCluster(make: () => NodeRedisCluster, { signal }: OpenSettings): Promise<RedisWire> {
  const cluster = make()
  cluster.on('error', ignore)
  const destroy = (): void => cluster.destroy()
  signal.addEventListener('abort', destroy, { once: true })
  try {
    await cluster.connect()
    return new ClusterWire(cluster, destroy)
  } catch (error) {
    destroy()
    throw error
  } finally {
    signal.removeEventListener('abort', destroy)
  }
}

export class ClusterWire implements RedisWire {
  readonly ordered = false
  readonly destroy: () => void
  readonly #cluster: NodeRedisCluster

  constructor(cluster: NodeRedisCluster, destroy: () => void) {
    this.#cluster = cluster
    this.destroy = destroy
  }

  send(args: CommandArguments, buffers: boolean): Promise<Reply> {
    return this.#cluster.sendCommand(keyOf(args), undefined, [...args], sendOptions(buffers)) as Promise<Reply>
  }

  subscribe(): Promise<void> {
    throw new TypeError('messages come over a connection to one node')
  }

  unsubscribe(): Promise<void> {
    throw new TypeError('messages come over a connection to one node')
  }
}

const keyless = new Set([
  'PING',
  'SCAN',
  'INFO',
  'PUBLISH',
  'SCRIPT',
  'CONFIG',
  'CLIENT',
  'TIME',
  'DBSIZE',
  'FLUSHDB',
  'FLUSHALL',
])
const withKeyCount = new Set(['EVAL', 'EVALSHA', 'EVAL_RO', 'EVALSHA_RO', 'FCALL', 'FCALL_RO'])

/** The first key, which chooses the node. */
export function keyOf(args: CommandArguments): string | Buffer | undefined {
  const name = String(args[0]).toUpperCase()
  if (keyless.has(name)) return undefined
  if (withKeyCount.has(name)) return args[2] === '0' ? undefined : args[3]
  return args[1]
}
