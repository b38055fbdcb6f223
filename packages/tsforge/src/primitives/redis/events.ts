import { channel } from 'node:diagnostics_channel'
import type { Channel } from 'node:diagnostics_channel'

/** Something happened to a connection. */
export interface RedisConnectionEvent {
  /** `stalled`: connected, but a command was not answered within the deadline; the connection is cut. */
  readonly kind: 'ready' | 'lost' | 'stalled' | 'failed'
  readonly use: 'commands' | 'messages' | 'tracking'
  /** For the log; may name hosts. */
  readonly cause?: unknown
}

/** `tsforge:redis:connection`, payload `RedisConnectionEvent`. Single commands: see the channels of the package `redis`. */
export const redisConnectionChannel: Channel = channel('tsforge:redis:connection')
