import type { Clock } from '../../kernel/clock.ts'

/** A value now or later; `await` takes both, and what is at hand costs no promise. */
export type Awaitable<T> = T | Promise<T>

/** One cached value with its times, relative to now, so that no two machines compare clocks. */
export interface CacheEntry {
  /** As the user gave it. Drivers that keep bytes use the codec of their parts. */
  readonly value: unknown
  /** How much longer it is fresh. Zero or less: it is stale. */
  readonly freshMs: number
  /** How long it may be served stale once it is no longer fresh. A driver keeps an entry for `freshMs + staleMs`. */
  readonly staleMs: number
  /** A reader starts a refresh in the background when `freshMs` is less than this. 0: never. */
  readonly eagerMs: number
  readonly tags: readonly string[]
}

export interface CacheCapabilities {
  /** Other processes see what this one writes. */
  readonly shared: boolean
  /** Values come back as the very references that were stored (as long as they stay near). */
  readonly references: boolean
  /** `lock` and `unlock` are there. */
  readonly lock: boolean
}

/** What a driver gets from the facade. A driver made of drivers hands them on. */
export interface CacheDriverParts {
  readonly clock: Clock
  readonly codec: CacheCodec
  /**
   * Keys and tags that another process changed, as they become known. A load that is under way for one of them is
   * then not stored. Drivers that hear of none need not call it.
   */
  invalidated(change: CacheChange): void
  /** A failure that no caller saw (of a subscription, of a write that is tried again). Counted. */
  failed(operation: string, error: unknown): void
}

/** How values become bytes, once for all drivers. */
export interface CacheCodec {
  /**
   * Value, `staleMs`, `eagerMs` and tags with a version of each (same order as `entry.tags`) as bytes. A whole number
   * without tags and staleness becomes its decimal text, so that a server can count with it. Throws
   * `cache.not_serializable`, and `cache.value_too_large` above the limit of the options.
   */
  encode(entry: CacheEntry, versions?: readonly string[]): Buffer
  /**
   * The way back; `leftMs` is how much longer the store keeps the entry (`Infinity`: for ever). Undefined for bytes
   * that are not ours, are damaged or are of a later version: a miss, and counted as corrupt.
   */
  decode(bytes: Buffer, leftMs: number): DecodedEntry | undefined
}

export interface DecodedEntry extends CacheEntry {
  /** Of each tag, in the order of `tags`, at the time of the write. */
  readonly versions: readonly string[]
}

/** What a write changed. Without `keys` and `tags`: everything of the namespace; without a prefix: all that there is. */
export interface CacheChange {
  readonly prefix?: string
  readonly keys?: readonly string[]
  readonly tags?: readonly string[]
}

/** How changes travel between processes; for memory before (or without) a shared store. */
export interface CacheBus {
  readonly name: string
  /** `by the store`: nobody needs to publish, and own changes come back too. Default: what others publish. */
  readonly told?: 'by the store'
  /** At most once. Rejects when it is known not to have left. */
  publish(change: CacheChange): Promise<void>
  /**
   * Calls `listener` for the changes of other processes. `onLost` says that some may be missed from now on (`lost`), and
   * that all after it will come (`restored`, after which the receiver drops what it has near). Resolves also when
   * there is no connection yet: `lost` was told then. The result ends the subscription.
   */
  subscribe(
    listener: (change: CacheChange) => void,
    onLost: (state: 'lost' | 'restored') => void,
  ): Promise<() => Promise<void>>
  close?(): Promise<void>
}

export interface CacheWrite {
  /**
   * How long ago the value began to be read from its source. When one of the entry's tags was invalidated since, the
   * entry is old already: `set` stores nothing and gives false. Measured on the store's own clock. 0 for plain writes.
   * What happens in this process (and what is told by `invalidated`) the facade knows itself: a driver that is not
   * shared need not look.
   */
  readonly loadedForMs: number
}

/**
 * Entries of one prefix in the memory of this process, for the hot path: no promise, no string built. What a shelf
 * does not have, `get` of the driver may have.
 */
export interface CacheShelf {
  /** The entry, when it is here, fresh and neither due for an eager refresh nor invalidated by a tag. Counts as a use. */
  fresh(key: string): CacheSlot | undefined
}

export interface CacheSlot {
  readonly value: unknown
}

/**
 * What a cache driver promises. All policy (jitter, single flight, stale values, time limits, keys) lives in the
 * facade; a driver keeps entries and says when it cannot.
 *
 * An address is a prefix and a key. A prefix is `<namespace>:<tenant>:` (tenant empty for shared entries), and neither
 * part holds a colon; a key is 1 to 512 UTF-8 bytes without control characters. `prefix + key` is therefore unique, and
 * `addressOf` takes it apart. Tags have the form of keys and belong to their prefix: the same tag of another tenant
 * is another tag.
 *
 * Every method may reject (with the error of the connection, e.g. `redis.unavailable`), within the deadline of the
 * connection; the facade counts that and goes on as if nothing was cached. Methods that are done at once may return
 * without a promise, but throw nothing in that case that they would not reject with.
 */
export interface CacheDriver {
  readonly name: string
  readonly capabilities: CacheCapabilities
  /**
   * Called once, by `createCache`. Other methods may be called before its promise has settled. A store that is away is
   * no reason to fail: the driver connects when it can.
   */
  start?(parts: CacheDriverParts): Awaitable<void>
  /** Releases what the driver opened; clients that it was given stay open. */
  close(): Awaitable<void>

  /**
   * The memory of this process for `prefix`. Absent on drivers without any. The result may be kept, but is asked for
   * again after each time that it had nothing: a shelf without entries may have been given up.
   */
  shelf?(prefix: string): CacheShelf
  /**
   * The entry, fresh or stale, or undefined. Never one that is older than `freshMs + staleMs`, and never one with a
   * tag that was invalidated after the entry was stored, or whose tag the store has forgotten since.
   */
  get(prefix: string, key: string): Awaitable<CacheEntry | undefined>
  /** `get` for many keys in one round trip; results in the order of `keys`. */
  getMany(prefix: string, keys: readonly string[]): Awaitable<readonly (CacheEntry | undefined)[]>
  /** Stores or replaces. False: not stored, because of `loadedForMs` or because it is larger than all of the memory. */
  set(prefix: string, key: string, entry: CacheEntry, write: CacheWrite): Awaitable<boolean>
  /** Removes; how many of the keys were there. */
  delete(prefix: string, keys: readonly string[]): Awaitable<number>
  /**
   * Adds to a counter in one atomic step and gives the sum. An absent key counts from 0 and lives for `ttlMs` from
   * then on; later steps leave its life as it is. Rejects with `cache.not_a_counter` when the key holds anything but a
   * whole number without tags, or when the sum leaves the safe integers.
   */
  increment(prefix: string, key: string, by: number, ttlMs: number): Awaitable<number>
  /** Makes every entry of the prefix with one of the tags invisible, at a cost that does not depend on their number. */
  invalidateTags(prefix: string, tags: readonly string[]): Awaitable<void>
  /** Removes all entries of a namespace, of all its tenants; of every namespace without one. May take its time. */
  clear(namespace?: string): Awaitable<void>

  /**
   * Takes the lock of an address for `leaseMs`, or prolongs it when `token` has it. False when somebody else has it.
   * There only with `capabilities.lock`. A lock is a courtesy between loaders, not a fence: it may be lost early.
   */
  lock?(prefix: string, key: string, token: string, leaseMs: number): Awaitable<boolean>
  /** Gives the lock back when `token` still has it. */
  unlock?(prefix: string, key: string, token: string): Awaitable<void>

  /** For `/readyz` and doctor: rejects when the store does not answer. Absent: nothing can be wrong. */
  ping?(signal: AbortSignal): Awaitable<void>
  /** For metrics. */
  stats?(): CacheStats
}

/** A driver that keeps everything in this process and answers at once: the near side of two tiers. */
export interface NearCacheDriver extends CacheDriver {
  shelf(prefix: string): CacheShelf
  get(prefix: string, key: string): CacheEntry | undefined
  getMany(prefix: string, keys: readonly string[]): readonly (CacheEntry | undefined)[]
  set(prefix: string, key: string, entry: CacheEntry, write: CacheWrite): boolean
  delete(prefix: string, keys: readonly string[]): number
  increment(prefix: string, key: string, by: number, ttlMs: number): number
  invalidateTags(prefix: string, tags: readonly string[]): void
  clear(namespace?: string): void
  start(parts: CacheDriverParts): void
  close(): void
  stats(): CacheStats
}

/** State of the memory at this moment. */
export interface CacheStats {
  readonly entries: number
  /** Estimated on the high side. */
  readonly bytes: number
  /** Entries that left for want of room, since the start. */
  readonly evictions: number
  /** Writes that wait for the store to come back. */
  readonly pending?: number
}

/** The parts of `prefix + key`, or undefined when it is no address. */
export function addressOf(full: string): { readonly prefix: string; readonly key: string } | undefined {
  const end = full.indexOf(':', full.indexOf(':') + 1) + 1
  return end < 3 || end === full.length ? undefined : { prefix: full.slice(0, end), key: full.slice(end) }
}
