import { channel } from 'node:diagnostics_channel'
import type { Channel } from 'node:diagnostics_channel'

/** `hit`: fresh. `stale`: old, by `stale` or `grace`. `miss`: not there, or loaded. `error`: the caller got an error. */
export type CacheResult = 'hit' | 'stale' | 'miss' | 'error'

/** One value was asked for. Never carries values. */
export interface CacheRequestEvent {
  readonly namespace: string
  readonly key: string
  readonly result: CacheResult
}

/** Something failed and the cache went on, or a loader failed. */
export interface CacheFailureEvent {
  /** Undefined when it belongs to the whole cache (a lost subscription, say). */
  readonly namespace: string | undefined
  /** `get`, `set`, `load`, `lock`, `decode`, …: a small, fixed set of words. */
  readonly operation: string
  /** For the log; may name hosts. */
  readonly error: unknown
}

/** `tsforge:cache:request`, payload `CacheRequestEvent`. */
export const requestChannel: Channel = channel('tsforge:cache:request')
/** `tsforge:cache:failure`, payload `CacheFailureEvent`. */
export const failureChannel: Channel = channel('tsforge:cache:failure')
