import { parseDuration } from '../../kernel/durations.ts'
import type { Duration } from '../../kernel/durations.ts'
import { cacheErrors } from './errors.ts'

/** How an entry is kept. */
export interface WriteOptions {
  /** How long it is fresh. Default `5m`. */
  readonly ttl?: Duration
  /** Each life is shortened by a random share of up to this, so that entries made together do not end together. Default 0.1. */
  readonly jitter?: number
  /** `invalidateTags` reaches the entry by each of these. */
  readonly tags?: readonly string[]
}

/** How a value is loaded, and what is served meanwhile. */
export interface LoadOptions extends WriteOptions {
  /** After its ttl a value is served for this long while it is refreshed in the background. Default 0. */
  readonly stale?: Duration
  /** After its ttl a value is served for this long when the loader fails, or takes longer than `softTimeout`. Default 0. */
  readonly grace?: Duration
  /** With an old value at hand: how long to wait for the new one before the old one is served. Default: no limit. */
  readonly softTimeout?: Duration
  /** With nothing at hand: how long to wait before `cache.load_timeout`. The loader goes on. Default: `loadTimeout`. */
  readonly hardTimeout?: Duration
  /** When a loader is given up: its signal is aborted and what it gives later is ignored. Default `30s`. */
  readonly loadTimeout?: Duration
  /** The share of its ttl after which a value is refreshed in the background before it ends, e.g. 0.8. Default: never. */
  readonly eager?: number
  /** The ttl of null and undefined. Default: null like each value, undefined is not kept. */
  readonly negativeTtl?: Duration
  /** After a failed load an old value is served for this long before the next try. Default `1s`. */
  readonly backoff?: Duration
  /**
   * One loader for all processes that share the store: the others wait for its value. `lease`: how long the lock
   * outlives a process that died (default `10s`; prolonged while the loader runs); `wait`: after which the others load
   * for themselves (default `loadTimeout`). Default false.
   */
  readonly lock?: boolean | { readonly lease?: Duration; readonly wait?: Duration }
}

/** `LoadOptions` as numbers. */
export interface Policy {
  readonly ttlMs: number
  readonly jitter: number
  readonly tags: readonly string[]
  readonly staleMs: number
  readonly graceMs: number
  readonly softMs: number
  readonly hardMs: number
  readonly loadMs: number
  readonly eager: number
  readonly negativeMs: number | undefined
  readonly backoffMs: number
  readonly lock: { readonly leaseMs: number; readonly waitMs: number } | undefined
}

/** Ten years: what a store surely takes as a number, and no date overflows by. */
export const longestMs = 315_360_000_000

/** `options` over `defaults`. Throws `cache.option_invalid`. */
export function policyOf(defaults: LoadOptions, options: LoadOptions | undefined): Policy {
  const all: LoadOptions = options === undefined ? defaults : { ...defaults, ...options }
  const loadMs = ms('loadTimeout', all.loadTimeout, 30_000)
  return {
    ttlMs: ms('ttl', all.ttl, 300_000),
    jitter: share('jitter', all.jitter, 0.1),
    tags: all.tags ?? [],
    staleMs: ms('stale', all.stale, 0),
    graceMs: ms('grace', all.grace, 0),
    softMs: ms('softTimeout', all.softTimeout, longestMs),
    hardMs: ms('hardTimeout', all.hardTimeout, longestMs),
    loadMs,
    eager: share('eager', all.eager, 1),
    negativeMs: all.negativeTtl === undefined ? undefined : ms('negativeTtl', all.negativeTtl, 0),
    backoffMs: ms('backoff', all.backoff, 1000),
    lock: lockOf(all.lock, loadMs),
  }
}

function lockOf(lock: LoadOptions['lock'], loadMs: number): Policy['lock'] {
  if (lock === undefined || lock === false) return undefined
  const { lease, wait } = lock === true ? {} : lock
  return { leaseMs: Math.max(1, ms('lock.lease', lease, 10_000)), waitMs: ms('lock.wait', wait, loadMs) }
}

/** Milliseconds of the option called `option`. */
export function ms(option: string, value: Duration | undefined, fallback: number): number {
  if (value === undefined) return fallback
  try {
    return Math.min(parseDuration(value), longestMs)
  } catch (cause) {
    throw cacheErrors.error('cache.option_invalid', { meta: { option }, cause })
  }
}

function share(option: string, value: number | undefined, fallback: number): number {
  if (value === undefined) return fallback
  if (!(value >= 0 && value <= 1)) throw cacheErrors.error('cache.option_invalid', { meta: { option } })
  return value
}
