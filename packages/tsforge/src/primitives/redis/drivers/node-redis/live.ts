import type { CommandArguments, OpenSettings, RedisDriver, RedisWire, Reply } from '../../driver.ts'
import { openClient, sendOptions } from './client.ts'
import type { NodeRedisClient } from './client.ts'
import { ClusterWire } from './cluster.ts'
import type { NodeRedisCluster } from './cluster.ts'

/**
 * Connections over a client of yours. Commands go through it, whatever its own timeouts; it comes back as its own
 * strategy says, and we never close it. Messages take connections of our own, made after its pattern.
 */
export function liveRedis(client: NodeRedisClient | NodeRedisCluster): RedisDriver {
  const cluster = 'masters' in client
  return {
    name: 'node-redis',
    cluster,
    open: async (settings) => {
      if (settings.use.kind === 'commands') return cluster ? openLiveCluster(client) : openLive(client, settings)
      const pattern = cluster ? await someNode(client, settings.attempt) : client
      return openClient((own) => pattern.duplicate({ ...own, ...withoutReconnecting(pattern) }), settings)
    },
  }
}

async function someNode(cluster: NodeRedisCluster, attempt: number): Promise<NodeRedisClient> {
  const { masters } = cluster
  if (masters.length === 0) throw new Error('the cluster client knows no node')
  return cluster.nodeClient(masters[attempt % masters.length] as never)
}

function withoutReconnecting(client: NodeRedisClient): object {
  const { socket, url } =
    (client as { readonly options?: { readonly socket?: object; readonly url?: string } }).options ?? {}
  return { ...(url !== undefined && { url }), socket: { ...socket, reconnectStrategy: false } }
}

async function openLiveCluster(cluster: NodeRedisCluster): Promise<RedisWire> {
  if (!cluster.isOpen) throw new Error('the cluster client is not connected')
  return new ClusterWire(cluster, () => {})
}

/** Up as long as the client is. */
async function openLive(client: NodeRedisClient, { signal, onEnd }: OpenSettings): Promise<RedisWire> {
  if (!client.isReady) throw new Error('the client is not connected')
  const wire = new LiveWire(client, onEnd)
  const destroy = (): void => wire.destroy()
  signal.addEventListener('abort', destroy, { once: true })
  try {
    await wire.send(['PING'], false)
    return wire
  } catch (error) {
    wire.destroy()
    throw error
  } finally {
    signal.removeEventListener('abort', destroy)
  }
}

/** `destroy` leaves the client alone and fails what we have in flight on it. */
class LiveWire implements RedisWire {
  readonly ordered = true
  readonly #client: NodeRedisClient
  readonly #inFlight = new Set<(error: Error) => void>()
  readonly #lost: (cause?: unknown) => void
  #over = false

  constructor(client: NodeRedisClient, onEnd: (cause: unknown) => void) {
    this.#client = client
    this.#lost = (cause) => {
      if (this.#over) return
      this.destroy()
      onEnd(cause)
    }
    client.on('error', this.#lost)
    client.on('end', this.#lost)
  }

  send(args: CommandArguments, buffers: boolean): Promise<Reply> {
    return new Promise((resolve, reject) => {
      if (this.#over) return reject(new Error('the connection was given up'))
      this.#inFlight.add(reject)
      this.#client.sendCommand(args, sendOptions(buffers)).then(
        (reply) => {
          this.#inFlight.delete(reject)
          resolve(reply as Reply)
        },
        (error: unknown) => {
          this.#inFlight.delete(reject)
          reject(error as Error)
        },
      )
    })
  }

  subscribe(): Promise<void> {
    throw new TypeError('messages come over a connection of their own')
  }

  unsubscribe(): Promise<void> {
    throw new TypeError('messages come over a connection of their own')
  }

  destroy(): void {
    this.#over = true
    this.#client.off('error', this.#lost)
    this.#client.off('end', this.#lost)
    for (const reject of this.#inFlight) reject(new Error('the connection was given up'))
    this.#inFlight.clear()
  }
}
