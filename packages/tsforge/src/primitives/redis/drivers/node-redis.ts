import type * as Package from 'redis'
import { backoffMs } from '../../../kernel/resilience/index.ts'
import type { RedisDriver } from '../driver.ts'
import { redisErrors } from '../errors.ts'
import { openClient, ownSettings } from './node-redis/client.ts'
import type { NodeRedisClient } from './node-redis/client.ts'
import { openCluster } from './node-redis/cluster.ts'

/** TLS settings as `node:tls` knows them. Only read with `rediss:`. */
export interface NodeRedisTls {
  readonly ca?: string | Buffer
  readonly cert?: string | Buffer
  readonly key?: string | Buffer
  readonly servername?: string
}

export interface NodeRedisOptions {
  /** `redis:` or `rediss:` URLs with user, password and database; several of them are nodes of one cluster. */
  readonly urls: readonly string[]
  readonly tls?: NodeRedisTls | undefined
  /** Name of the connections in `CLIENT LIST`. */
  readonly name?: string | undefined
  /** For one TCP and TLS handshake. */
  readonly connectMs: number
}

const pingMs = 1000

/**
 * Connections of the package `redis` 6, loaded when the first one is opened. Its timeout of single commands is off (a
 * timer and a listener for each command cost six sevenths of its throughput, and it ends when a command has been
 * written: a hung server hangs callers all the same), and so are its queue of commands and its coming back.
 */
export function nodeRedis(options: NodeRedisOptions): RedisDriver {
  const { urls, tls, name, connectMs } = options
  const cluster = urls.length > 1
  const socket = { ...tls, connectTimeout: connectMs }
  const named = name === undefined ? {} : { name }
  return {
    name: 'node-redis',
    cluster,
    load: loadRedis,
    open: async (settings) => {
      const redis = await loadRedis()
      if (cluster && settings.use.kind === 'commands')
        return openCluster(
          () => redis.createCluster(clusterOptions(urls, socket, named) as Package.RedisClusterOptions) as never,
          settings,
        )
      const url = urls[settings.attempt % urls.length]!
      const make = (own: object): NodeRedisClient =>
        redis.createClient({ ...own, ...named, url, socket: { ...socket, reconnectStrategy: false } }) as never
      return openClient(make, settings)
    },
  }
}

/** Nodes that the cluster names have no URL of their own: they get user, password and TLS of the first one. */
function clusterOptions(urls: readonly string[], socket: { readonly connectTimeout: number }, named: object): object {
  const first = new URL(urls[0]!)
  const [username, password] = [first.username, first.password].map(decodeURIComponent)
  return {
    ...ownSettings,
    rootNodes: urls.map((url) => ({ url })),
    defaults: {
      ...named,
      ...(username !== '' && { username }),
      ...(password !== '' && { password }),
      disableOfflineQueue: true,
      maintNotifications: 'disabled',
      pingInterval: pingMs,
      socket: {
        ...socket,
        ...(first.protocol === 'rediss:' && { tls: true }),
        // A node that answers no ping is cut, though not sooner than it may take to connect.
        socketTimeout: Math.max(3 * pingMs, socket.connectTimeout),
        reconnectStrategy: (retries: number) => backoffMs(retries, { baseMs: 50, capMs: 1000 }),
      },
    },
  }
}

async function loadRedis(): Promise<typeof Package> {
  try {
    return await import('redis')
  } catch (error) {
    throw redisErrors.error('redis.driver_missing', { cause: error })
  }
}
