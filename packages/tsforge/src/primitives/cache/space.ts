import { BoundedMap } from '../../kernel/bounded-map.ts'
import { currentContext } from '../../kernel/context.ts'
import type { Cache, NamespaceOptions } from './cache.ts'
import { inward, outward } from './copies.ts'
import type { Core, Place } from './core.ts'
import type { Awaitable, CacheEntry, CacheShelf } from './driver.ts'
import { cacheErrors } from './errors.ts'
import { checkKey, checkKeys, checkNamespace, prefixOf, tenantPrefix } from './keys.ts'
import { entryOf, RunningLoad } from './load.ts'
import type { Loader } from './load.ts'
import type { Load } from './loads.ts'
import type { CacheCounts, NamespaceMeter } from './meter.ts'
import { longestMs, ms, policyOf } from './policy.ts'
import type { LoadOptions, Policy, WriteOptions } from './policy.ts'
import { keyOfCall } from './remember.ts'
import type { Remembered, RememberOptions } from './remember.ts'

/** Where the entries of one prefix lie. */
interface Scope {
  readonly prefix: string
  shelf: CacheShelf
}

const emptyShelf: CacheShelf = { fresh: () => undefined }
const plainWrite = { loadedForMs: 0 } as const

/** One namespace: the hot path, and which policy applies to what was found. */
export class Space<V> implements Cache<V> {
  readonly name: string
  readonly #core: Core
  readonly #defaults: NamespaceOptions
  readonly #policy: Policy
  readonly #meter: NamespaceMeter
  readonly #in: (value: unknown) => unknown
  readonly #out: ((value: unknown) => unknown) | undefined
  /** The scope of all tenants, or undefined when each has one. */
  readonly #common: Scope | undefined
  readonly #tenants = new BoundedMap<Scope>({ entries: 10_000 })

  constructor(core: Core, name: string, options: NamespaceOptions) {
    checkNamespace(name)
    this.name = name
    this.#core = core
    this.#defaults = options
    this.#policy = policyOf(options, undefined)
    this.#meter = core.meter.namespace(name)
    this.#in = inward(options.values ?? 'shared')
    this.#out = outward(options.values ?? 'shared')
    this.#common = options.perTenant === true ? undefined : this.#open(prefixOf(name))
  }

  get counts(): CacheCounts {
    return this.#meter.counts
  }

  get<T extends V = V>(key: string): Awaitable<T | undefined> {
    const slot = (this.#common ?? this.#tenant())?.shelf.fresh(key)
    if (slot === undefined) return this.#find<T>(key)
    this.#meter.hit(key)
    return (this.#out === undefined ? slot.value : this.#out(slot.value)) as T
  }

  getOrSet<T extends V>(key: string, load: Loader<T>, options?: LoadOptions): Awaitable<T> {
    const slot = (this.#common ?? this.#tenant())?.shelf.fresh(key)
    if (slot === undefined) return this.#findOrLoad(key, load, options)
    this.#meter.hit(key)
    return (this.#out === undefined ? slot.value : this.#out(slot.value)) as T
  }

  async getMany<T extends V = V>(keys: readonly string[]): Promise<(T | undefined)[]> {
    checkKeys(keys)
    const { prefix } = this.#scope()
    const found = await this.#core.attempt(this.name, 'get', () => this.#core.driver.getMany(prefix, keys))
    return keys.map((key, at) => {
      const entry = found?.[at]
      const fresh = entry !== undefined && entry.freshMs > 0
      this.#meter.count(fresh ? 'hit' : 'miss', key)
      return fresh ? this.#give<T>(entry.value) : undefined
    })
  }

  remember<A extends readonly unknown[], T extends V>(
    name: string,
    load: (...args: A) => T | Promise<T>,
    options: RememberOptions<A> = {},
  ): Remembered<A, T> {
    const { key: own, ...policy } = options
    const keyOf = (args: A): string => (own === undefined ? keyOfCall(name, args) : `${name}:${own(...args)}`)
    return Object.assign((...args: A) => this.getOrSet(keyOf(args), () => load(...args), policy), {
      forget: (...args: A) => this.delete(keyOf(args)),
    })
  }

  async set(key: string, value: V, options?: WriteOptions): Promise<boolean> {
    checkKey(key)
    const policy = options === undefined ? this.#policy : policyOf(this.#defaults, options)
    checkKeys(policy.tags)
    const { prefix } = this.#scope()
    const { driver, loads } = this.#core
    const entry = entryOf(this.#core, this.#in(value), policy.ttlMs, policy, false)
    const older = loads.precede({ prefix, keys: [key] })
    if (older !== undefined) await older
    if (entry === undefined) {
      await driver.delete(prefix, [key])
      return false
    }
    const kept = await driver.set(prefix, key, entry, plainWrite)
    this.#renew()
    return kept
  }

  async setMany(entries: Iterable<readonly [key: string, value: V]>, options?: WriteOptions): Promise<void> {
    await Promise.all(Array.from(entries, ([key, value]) => this.set(key, value, options)))
  }

  async delete(key: string): Promise<boolean> {
    return (await this.deleteMany([key])) > 0
  }

  async deleteMany(keys: readonly string[]): Promise<number> {
    checkKeys(keys)
    const { prefix } = this.#scope()
    const older = this.#core.loads.precede({ prefix, keys })
    if (older !== undefined) await older
    return this.#core.driver.delete(prefix, keys)
  }

  async increment(key: string, by: number = 1, options?: Pick<WriteOptions, 'ttl'>): Promise<number> {
    checkKey(key)
    if (!Number.isSafeInteger(by)) throw cacheErrors.error('cache.not_a_counter')
    const { prefix } = this.#scope()
    const ttlMs = Math.max(1, ms('ttl', options?.ttl, this.#policy.ttlMs))
    const older = this.#core.loads.precede({ prefix, keys: [key] })
    if (older !== undefined) await older
    return this.#core.driver.increment(prefix, key, by, ttlMs)
  }

  async invalidateTags(tags: readonly string[]): Promise<void> {
    checkKeys(tags)
    const { prefix } = this.#scope()
    this.#core.loads.note({ prefix, tags })
    await this.#core.driver.invalidateTags(prefix, tags)
  }

  async clear(): Promise<void> {
    const older = this.#core.loads.precede({}, this.name)
    if (older !== undefined) await older
    await this.#core.driver.clear(this.name)
  }

  namespace<W = unknown>(name: string, options: NamespaceOptions = {}): Cache<W> {
    return new Space<W>(this.#core, name, { ...this.#defaults, ...options })
  }

  async #find<T>(key: string): Promise<T | undefined> {
    const found = await this.#core.look(this.#place(key))
    const fresh = found !== undefined && found.freshMs > 0
    this.#meter.count(fresh ? 'hit' : 'miss', key)
    return fresh ? this.#give<T>(found.value) : undefined
  }

  async #findOrLoad<T>(key: string, loader: Loader<T>, options?: LoadOptions): Promise<T> {
    try {
      const policy = options === undefined ? this.#policy : policyOf(this.#defaults, options)
      checkKeys(policy.tags)
      const place = this.#place(key)
      const running = this.#core.loads.get(place.prefix, key)
      if (running !== undefined) return await this.#await<T>(running, policy, policy.hardMs)
      const { clock } = this.#core
      const begunAt = clock.monotonic()
      const look = this.#core.look(place)
      const found = look instanceof Promise ? await this.#within(policy.hardMs, look) : look
      if (found !== undefined && found.freshMs > 0) {
        if (found.freshMs <= found.eagerMs) this.#load(place, loader, policy, found)
        this.#meter.count('hit', key)
        return this.#give<T>(found.value)
      }
      const waitUntil = this.#core.backoffs.get(place.prefix + key)
      if (waitUntil !== undefined && waitUntil > this.#core.clock.monotonic() && servable(found, policy.graceMs))
        return this.#stale<T>(key, found)
      const hardMs = policy.hardMs - (clock.monotonic() - begunAt)
      return await this.#await<T>(this.#load(place, loader, policy, found), policy, hardMs)
    } catch (error) {
      this.#meter.count('error', key)
      throw error
    }
  }

  /** The load of a key; joins the one under way. */
  #load(place: Place, loader: Loader<unknown>, policy: Policy, old: CacheEntry | undefined): Load {
    const running = this.#core.loads.get(place.prefix, place.key)
    const kept: Loader<unknown> = async (context) => this.#in(await loader(context))
    return running ?? new RunningLoad(this.#core, place, kept, policy, old)
  }

  /** What somebody who came for a value that is being loaded gets, by their own policy. */
  async #await<T>(load: Load, policy: Policy, hardMs: number): Promise<T> {
    const { old, begunAt, key } = load
    const { clock } = this.#core
    const ageMs = old === undefined ? 0 : clock.monotonic() - begunAt - old.freshMs
    if (old !== undefined && ageMs <= policy.staleMs) return this.#stale<T>(key, old)
    const spare = old !== undefined && ageMs <= policy.graceMs ? old : undefined
    const limitMs = spare === undefined ? hardMs : Math.min(hardMs, policy.softMs)
    try {
      const value = await this.#within(limitMs, load.value)
      this.#meter.count('miss', key)
      this.#renew()
      return this.#give<T>(value)
    } catch (error) {
      if (spare === undefined) throw error
      return this.#stale<T>(key, spare)
    }
  }

  /** `value`, or `cache.load_timeout` after `limitMs`. */
  async #within<R>(limitMs: number, value: Promise<R>): Promise<R> {
    // Most calls have no limit of their own, and need no timer.
    if (limitMs >= longestMs / 2) return value
    const { promise, reject } = Promise.withResolvers<never>()
    const timer = this.#core.clock.after(limitMs, () => reject(cacheErrors.error('cache.load_timeout')))
    try {
      return await Promise.race([value, promise])
    } finally {
      timer.cancel()
    }
  }

  #stale<T>(key: string, entry: CacheEntry): T {
    this.#meter.count('stale', key)
    return this.#give<T>(entry.value)
  }

  #give<T>(value: unknown): T {
    return (this.#out === undefined ? value : this.#out(value)) as T
  }

  #place(key: string): Place {
    checkKey(key)
    const { prefix } = this.#scope()
    return { namespace: this.name, prefix, key }
  }

  /** The scope at work. Throws `tenant.required` when there should be a tenant. */
  #scope(): Scope {
    return this.#renew() ?? this.#open(tenantPrefix(this.name))
  }

  /** The scope at work, with the shelf that holds its entries by now. */
  #renew(): Scope | undefined {
    const scope = this.#common ?? this.#tenant()
    if (scope !== undefined) scope.shelf = this.#shelf(scope.prefix)
    return scope
  }

  #tenant(): Scope | undefined {
    const tenantId = currentContext()?.tenantId
    if (tenantId === undefined || tenantId === null || tenantId === '') return undefined
    let scope = this.#tenants.get(tenantId)
    if (scope === undefined) {
      scope = this.#open(prefixOf(this.name, tenantId))
      this.#tenants.set(tenantId, scope)
    }
    return scope
  }

  #open(prefix: string): Scope {
    return { prefix, shelf: this.#shelf(prefix) }
  }

  #shelf(prefix: string): CacheShelf {
    return this.#core.driver.shelf?.(prefix) ?? emptyShelf
  }
}

function servable(entry: CacheEntry | undefined, forMs: number): entry is CacheEntry {
  return entry !== undefined && -entry.freshMs <= forMs
}
