import { channel } from 'node:diagnostics_channel'
import type { Channel } from 'node:diagnostics_channel'

/** Something happened to a connection. */
export interface RedisConnectionEvent {
  /** `lost`: one that was ready has ended, or was cut because an answer was overdue. `failed`: an attempt to connect. */
  readonly kind: 'ready' | 'lost' | 'failed'
  readonly use: 'commands' | 'messages' | 'tracking'
  /** For the log; may name hosts. */
  readonly cause?: unknown
}

/** `tsforge:redis:connection`, payload `RedisConnectionEvent`. Single commands: see the channels of the package `redis`. */
export const redisConnectionChannel: Channel = channel('tsforge:redis:connection')
