import { systemClock } from '../../kernel/clock.ts'
import type { Clock } from '../../kernel/clock.ts'
import { silentLog } from '../../kernel/log.ts'
import type { Log } from '../../kernel/log.ts'
import type { Metrics } from '../../kernel/metrics.ts'
import { RedisClient } from './client.ts'
import { nodeRedis } from './drivers/node-redis.ts'
import type { NodeRedisTls } from './drivers/node-redis.ts'
import type { NodeRedisClient } from './drivers/node-redis/client.ts'
import type { NodeRedisCluster } from './drivers/node-redis/cluster.ts'
import { liveRedis } from './drivers/node-redis/live.ts'
import type { RedisConnectionEvent } from './events.ts'
import type { Redis } from './redis.ts'

export interface RedisPolicy {
  /** Default 500. */
  readonly deadlineMs?: number
  /** For one attempt to connect, handshake included. Default 2000. */
  readonly connectMs?: number
  readonly clock?: Clock
  readonly metrics?: Metrics
  readonly log?: Log
  /** Told of every change of every connection. */
  readonly onEvent?: (event: RedisConnectionEvent) => void
}

export interface RedisConnectionOptions extends RedisPolicy {
  /** `redis:` or `rediss:` (TLS), with user, password and database. Several, comma separated or as a list: a cluster. */
  readonly url: string | readonly string[]
  readonly tls?: NodeRedisTls
  /** Name of the connections in `CLIENT LIST`. */
  readonly name?: string
}

/** A client or cluster client of the package `redis`, connected by you. */
export type LiveRedis = NodeRedisClient | NodeRedisCluster

/** Connects, or uses a connected client of yours. Whoever created the client closes it. */
export function createRedis(from: RedisConnectionOptions | LiveRedis, policy: RedisPolicy = {}): Redis {
  const live = 'sendCommand' in from
  const { deadlineMs = 500, connectMs = 2000, clock = systemClock, ...rest } = live ? policy : { ...from, ...policy }
  const { metrics, log = silentLog, onEvent = (): void => {} } = rest
  const driver = live
    ? liveRedis(from)
    : nodeRedis({ urls: urlsOf(from.url), tls: from.tls, name: from.name, connectMs })
  return new RedisClient(driver, { deadlineMs, connectMs, clock, metrics, log, onEvent })
}

function urlsOf(url: string | readonly string[]): readonly string[] {
  return typeof url === 'string' ? url.split(',').map((one) => one.trim()) : url
}
