import type { Clock } from '../../kernel/clock.ts'
import type { Metrics } from '../../kernel/metrics.ts'
import { port } from '../../kernel/plugin.ts'
import type { Port } from '../../kernel/plugin.ts'
import type { CacheValues } from './copies.ts'
import type { Awaitable, CacheStats } from './driver.ts'
import type { Loader } from './load.ts'
import type { CacheCounts } from './meter.ts'
import type { LoadOptions, WriteOptions } from './policy.ts'
import type { Remembered, RememberOptions } from './remember.ts'

/** Defaults of a namespace; every call may say otherwise. */
export interface NamespaceOptions extends LoadOptions {
  /**
   * Every tenant has entries and tags of its own: the tenant of the running context is part of the address. Calls
   * without a tenant reject with `tenant.required`. Default false.
   */
  readonly perTenant?: boolean
  /** Default `shared`. */
  readonly values?: CacheValues
}

export interface CacheSettings extends NamespaceOptions {
  /** Name of the namespace that `createCache` gives, default `default`. */
  readonly namespace?: string
  readonly clock?: Clock
  readonly metrics?: Metrics
  /** Largest value as bytes, for drivers that keep bytes. Default 1 MiB. */
  readonly maxValueBytes?: number
  /** 0 to 1; for tests of what is random. */
  readonly random?: () => number
}

/**
 * One namespace of a cache. Keys are texts of 1 to 512 bytes without control characters (`cache.key_invalid`). Reading
 * never fails because of the store: a store that is away has nothing, which is counted. Writing rejects with what the
 * store says, since the caller may have to know.
 */
export interface Cache<V = unknown> {
  readonly name: string
  /** The fresh value; undefined when there is none. */
  get<T extends V = V>(key: string): Awaitable<T | undefined>
  /** `get` for many keys in one round trip, in their order. */
  getMany<T extends V = V>(keys: readonly string[]): Promise<(T | undefined)[]>
  /**
   * The value, loaded when there is none that may be served; one loader per key at a time. At hand, it comes without a
   * promise. Rejects with what the loader throws, or with `cache.load_timeout`, when nothing old may be served instead.
   */
  getOrSet<T extends V>(key: string, load: Loader<T>, options?: LoadOptions): Awaitable<T>
  /** A function whose results are kept, by its arguments (below `name`). */
  remember<A extends readonly unknown[], T extends V>(
    name: string,
    load: (...args: A) => T | Promise<T>,
    options?: RememberOptions<A>,
  ): Remembered<A, T>
  /** False: not kept, since it is larger than the memory, or its life is 0. */
  set(key: string, value: V, options?: WriteOptions): Promise<boolean>
  setMany(entries: Iterable<readonly [key: string, value: V]>, options?: WriteOptions): Promise<void>
  /** Whether there was something. */
  delete(key: string): Promise<boolean>
  /** How many there were. */
  deleteMany(keys: readonly string[]): Promise<number>
  /**
   * Counts up in one atomic step, from 0, and gives the sum. The ttl (without jitter) runs from the first step. Rejects
   * with `cache.not_a_counter` when something else lies there.
   */
  increment(key: string, by?: number, options?: Pick<WriteOptions, 'ttl'>): Promise<number>
  /** Makes all entries with one of the tags invisible, in a time that does not depend on their number. Never serves them again. */
  invalidateTags(tags: readonly string[]): Promise<void>
  /** Removes all entries of the namespace, of all tenants. */
  clear(): Promise<void>
  /** Another namespace of the same store, with the same defaults where `options` says nothing. */
  namespace<W = unknown>(name: string, options?: NamespaceOptions): Cache<W>
  /** How often it was asked since the start. */
  readonly counts: CacheCounts
}

/** The cache that `createCache` gives: a namespace, and what belongs to the whole. */
export interface RootCache<V = unknown> extends Cache<V> {
  /** Resolves when the driver has opened what it wants open. Never rejects. */
  ready(): Promise<void>
  /** Rejects when the store does not answer. */
  ping(signal: AbortSignal): Promise<void>
  stats(): CacheStats
  /** Releases the driver. Loads under way finish, and are not kept. */
  close(): Promise<void>
}

export const cachePort: Port<Cache> = port<Cache>('cache', () => import('./plugin.ts').then((m) => m.cache()))
