import { channel } from 'node:diagnostics_channel'
import type { Channel } from 'node:diagnostics_channel'
import type { LossPolicy } from './ratelimit.ts'

/** The store of counts stopped answering, or answers again. Told once per change. */
export interface RatelimitStoreEvent {
  readonly state: 'lost' | 'restored'
  /** Name of the driver. */
  readonly driver: string
  /** For the log; may name hosts. */
  readonly cause?: unknown
}

/** A call was refused. */
export interface RatelimitRefusedEvent {
  readonly limit: string
  readonly key: string
  readonly retryAfterMs: number
  /** The policy that refused it while the store was lost; `undefined` when the store did. */
  readonly policy: LossPolicy | undefined
}

/** `tsforge:ratelimit:store`, payload `RatelimitStoreEvent`. */
export const storeChannel: Channel = channel('tsforge:ratelimit:store')
/** `tsforge:ratelimit:refused`, payload `RatelimitRefusedEvent`. */
export const refusedChannel: Channel = channel('tsforge:ratelimit:refused')
