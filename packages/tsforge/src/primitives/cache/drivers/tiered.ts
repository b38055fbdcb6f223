import type { Timer } from '../../../kernel/clock.ts'
import type {
  CacheBus,
  CacheCapabilities,
  CacheChange,
  CacheDriver,
  CacheDriverParts,
  CacheEntry,
  CacheShelf,
  CacheStats,
  CacheWrite,
  NearCacheDriver,
} from '../driver.ts'
import { Debts } from './tiered/debts.ts'
import { Flights } from './tiered/flights.ts'

export interface TieredOptions {
  /** The memory of this process. */
  readonly near: NearCacheDriver
  /** The store that processes share. Without it each process loads for itself, and hears of changes over the bus. */
  readonly far?: CacheDriver
  /** How this process hears what others changed. Without it, others' changes are seen when the near entry ends. */
  readonly bus?: CacheBus
  /** While nothing can be heard, near entries live this long at most. Default 5000. */
  readonly deafMs?: number
  /** Most changes that wait for the store to come back; with more, all of it is cleared then. Default 10,000. */
  readonly maxPending?: number
}

/** How often waiting changes are tried again. */
const retryMs = 1000

/**
 * Memory before a shared store. What is near is served without asking; what others change is dropped from it as it is
 * told. When the store is away, reads go on from memory (dropped every `deafMs`, since nobody tells of changes), and
 * changes that the store has to know of wait, bounded, until it is back; what they hide stays hidden meanwhile.
 */
export function tiered(options: TieredOptions): CacheDriver {
  return new TieredDriver(options)
}

class TieredDriver implements CacheDriver {
  readonly name = 'tiered'
  readonly capabilities: CacheCapabilities
  readonly lock?: NonNullable<CacheDriver['lock']>
  readonly unlock?: NonNullable<CacheDriver['unlock']>
  readonly #near: NearCacheDriver
  readonly #far: CacheDriver | undefined
  readonly #bus: CacheBus | undefined
  readonly #deafMs: number
  readonly #debts: Debts
  readonly #flights = new Flights()
  #parts: CacheDriverParts | undefined
  #unsubscribe: (() => Promise<void>) | undefined
  #deaf: Timer | undefined
  #retry: Timer | undefined
  #paying = false
  #closed = false

  constructor({ near, far, bus, deafMs = 5000, maxPending = 10_000 }: TieredOptions) {
    this.#near = near
    this.#far = far
    this.#bus = bus
    this.#deafMs = deafMs
    this.#debts = new Debts(maxPending)
    this.capabilities = { shared: far !== undefined, references: true, lock: far?.lock !== undefined }
    if (far?.lock === undefined) return
    this.lock = (prefix, key, token, leaseMs) => far.lock!(prefix, key, token, leaseMs)
    this.unlock = (prefix, key, token) => far.unlock!(prefix, key, token)
  }

  async start(parts: CacheDriverParts): Promise<void> {
    this.#parts = parts
    this.#near.start(parts)
    const far = this.#far?.start?.(parts)
    this.#unsubscribe = await this.#bus?.subscribe(
      (change) => this.#hear(change),
      (state) => this.#lost(state),
    )
    if (this.#closed) await this.#unsubscribe?.()
    await far
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#deaf?.cancel()
    this.#retry?.cancel()
    await this.#unsubscribe?.()
    await this.#bus?.close?.()
    this.#near.close()
    await this.#far?.close()
  }

  shelf(prefix: string): CacheShelf {
    return this.#near.shelf(prefix)
  }

  get(prefix: string, key: string): CacheEntry | undefined | Promise<CacheEntry | undefined> {
    const near = this.#near.get(prefix, key)
    if (this.#far === undefined || (near !== undefined && near.freshMs > 0)) return near
    return this.#fetch(prefix, key, near)
  }

  async getMany(prefix: string, keys: readonly string[]): Promise<readonly (CacheEntry | undefined)[]> {
    const found = [...this.#near.getMany(prefix, keys)]
    if (this.#far === undefined) return found
    const missing = keys.flatMap((_, at) => ((found[at]?.freshMs ?? 0) > 0 ? [] : [at]))
    if (missing.length === 0) return found
    const wanted = missing.map((at) => keys[at]!)
    const flights = wanted.map((key) => this.#flights.begin(prefix, key))
    try {
      const entries = await this.#far.getMany(prefix, wanted)
      missing.forEach(
        (at, index) => (found[at] = this.#take(prefix, keys[at]!, entries[index], flights[index]!) ?? found[at]),
      )
    } catch (error) {
      // What is near, stale maybe, is better than nothing.
      if (found.every((entry) => entry === undefined)) throw error
      this.#failed('get', error)
    } finally {
      wanted.forEach((key, index) => this.#flights.end(prefix, key, flights[index]!))
    }
    return found
  }

  async #fetch(prefix: string, key: string, near: CacheEntry | undefined): Promise<CacheEntry | undefined> {
    const flight = this.#flights.begin(prefix, key)
    try {
      const entry = await this.#far!.get(prefix, key)
      return this.#take(prefix, key, entry, flight) ?? near
    } catch (error) {
      if (near === undefined) throw error
      this.#failed('get', error)
      return near
    } finally {
      this.#flights.end(prefix, key, flight)
    }
  }

  /** Keeps near what came from afar, unless it has changed on the way. */
  #take(prefix: string, key: string, entry: CacheEntry | undefined, flight: number): CacheEntry | undefined {
    if (entry === undefined || this.#debts.hides(prefix, key, entry.tags)) return undefined
    if (this.#flights.clean(prefix, key, flight)) this.#near.set(prefix, key, entry, { loadedForMs: 0 })
    return entry
  }

  async set(prefix: string, key: string, entry: CacheEntry, write: CacheWrite): Promise<boolean> {
    const loaded = write.loadedForMs > 0
    if (this.#far === undefined) {
      const kept = this.#near.set(prefix, key, entry, write)
      // What was loaded is what others have or would load; a plain write is news.
      if (!loaded) await this.#tell({ prefix, keys: [key] })
      return kept
    }
    const flight = this.#flights.begin(prefix, key)
    try {
      const kept = await this.#far.set(prefix, key, entry, write)
      this.#debts.settle(prefix, key)
      if (kept && this.#flights.clean(prefix, key, flight)) this.#near.set(prefix, key, entry, write)
      else this.#near.delete(prefix, [key])
      if (kept && !loaded) await this.#tell({ prefix, keys: [key] })
      return kept
    } catch (error) {
      // Values that no store takes are the caller's business.
      if (isRefusal(error)) throw error
      this.#failed('set', error)
      this.#owe({ prefix, keys: [key] })
      return this.#near.set(prefix, key, entry, write)
    } finally {
      this.#flights.end(prefix, key, flight)
    }
  }

  async delete(prefix: string, keys: readonly string[]): Promise<number> {
    const near = this.#near.delete(prefix, keys)
    return this.#change({ prefix, keys }, near, (far) => far.delete(prefix, keys))
  }

  async increment(prefix: string, key: string, by: number, ttlMs: number): Promise<number> {
    if (this.#far === undefined) {
      const sum = this.#near.increment(prefix, key, by, ttlMs)
      await this.#tell({ prefix, keys: [key] })
      return sum
    }
    // A counter is exact or it is not there: nothing is counted here while the store is away.
    const sum = await this.#far.increment(prefix, key, by, ttlMs)
    this.#note({ prefix, keys: [key] })
    await this.#tell({ prefix, keys: [key] })
    return sum
  }

  async invalidateTags(prefix: string, tags: readonly string[]): Promise<void> {
    await this.#change({ prefix, tags }, undefined, (far) => far.invalidateTags(prefix, tags))
  }

  async clear(namespace?: string): Promise<void> {
    const change: CacheChange = namespace === undefined ? {} : { prefix: `${namespace}:` }
    await this.#change(change, undefined, (far) => far.clear(namespace))
  }

  ping(signal: AbortSignal): Promise<void> | void {
    return this.#far?.ping?.(signal)
  }

  stats(): CacheStats {
    return { ...this.#near.stats(), pending: this.#debts.size }
  }

  /** Here at once, and afar as soon as that can be. */
  async #change<T>(change: CacheChange, here: T, there: (far: CacheDriver) => T | Promise<T>): Promise<T> {
    this.#note(change)
    let result = here
    if (this.#far !== undefined) {
      try {
        result = await there(this.#far)
        this.#note(change)
      } catch (error) {
        if (isRefusal(error)) throw error
        this.#failed('invalidate', error)
        this.#owe(change)
      }
    }
    await this.#tell(change)
    return result
  }

  /** Drops near what has changed. */
  #note(change: CacheChange): void {
    const { prefix, keys, tags } = change
    this.#flights.note(change)
    if (prefix === undefined) return this.#near.clear()
    if (keys === undefined && tags === undefined) return this.#near.clear(prefix.slice(0, prefix.indexOf(':')))
    if (keys !== undefined) this.#near.delete(prefix, keys)
    if (tags !== undefined) this.#near.invalidateTags(prefix, tags)
  }

  #hear(change: CacheChange): void {
    this.#note(change)
    this.#parts?.invalidated(change)
  }

  async #tell(change: CacheChange): Promise<void> {
    if (this.#bus === undefined || this.#bus.told === 'by the store') return
    try {
      await this.#bus.publish(change)
    } catch (error) {
      this.#failed('publish', error)
      this.#owe(change)
    }
  }

  #lost(state: 'lost' | 'restored'): void {
    this.#deaf?.cancel()
    this.#deaf = undefined
    if (this.#closed) return
    if (state === 'lost') this.#deaf = this.#parts?.clock.every(this.#deafMs, () => this.#note({}))
    else {
      this.#hear({})
      void this.#pay()
    }
  }

  #owe(change: CacheChange): void {
    this.#debts.add(change)
    this.#retry ??= this.#parts?.clock.every(retryMs, () => void this.#pay())
  }

  /** Makes up for the changes that the store (and the others) could not be told of. */
  async #pay(): Promise<void> {
    if (this.#paying || this.#closed) return
    this.#paying = true
    try {
      for (let change = this.#debts.next(); change !== undefined; change = this.#debts.next()) {
        await this.#apply(change)
        if (this.#bus !== undefined && this.#bus.told === undefined) await this.#bus.publish(change)
        this.#note(change)
        this.#debts.paid(change)
      }
      this.#retry?.cancel()
      this.#retry = undefined
    } catch (error) {
      this.#failed('retry', error)
    } finally {
      this.#paying = false
    }
  }

  async #apply({ prefix, keys, tags }: CacheChange): Promise<void> {
    const far = this.#far
    if (far === undefined) return
    if (prefix === undefined || (keys === undefined && tags === undefined))
      return far.clear(prefix?.slice(0, prefix.indexOf(':')))
    if (keys !== undefined) await far.delete(prefix, keys)
    if (tags !== undefined) await far.invalidateTags(prefix, tags)
  }

  #failed(operation: string, error: unknown): void {
    this.#parts?.failed(operation, error)
  }
}

/** An error of the cache's own catalogue speaks of the call, not of the store. */
function isRefusal(error: unknown): boolean {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('cache.')
}
