import { systemClock } from '../../../kernel/clock.ts'
import { parseBytes } from '../../../kernel/durations.ts'
import type { Bytes } from '../../../kernel/durations.ts'
import type { CacheDriverParts, CacheEntry, CacheShelf, CacheStats, NearCacheDriver } from '../driver.ts'
import { cacheErrors } from '../errors.ts'
import { CoarseClock, tickOf } from './memory/coarse-clock.ts'
import { Room } from './memory/room.ts'
import type { RoomLimits } from './memory/room.ts'
import { Shelf } from './memory/shelf.ts'
import { entryBytes, sizeOf } from './memory/size-of.ts'
import type { Slot } from './memory/slot.ts'

export interface MemoryCacheOptions {
  /** Most entries, default 100,000. */
  readonly maxEntries?: number
  /** Most memory of all entries together, estimated on the high side. Default `64mb`. */
  readonly maxBytes?: Bytes
  /** What a value weighs, in bytes, in place of the estimate. */
  readonly sizeOf?: (value: unknown) => number
}

/** A shelf without entries. */
const shelfBytes = 600
/** Place of a tag in its shelf. */
const tagBytes = 120

/**
 * The memory of this process: references, no copies. Bounded by entries and by bytes with S3-FIFO, so that a scan
 * does not wash out what is in use. Times are monotonic: a wall clock that jumps changes nothing.
 */
export function memory(options: MemoryCacheOptions = {}): NearCacheDriver {
  return new MemoryDriver(options)
}

class MemoryDriver implements NearCacheDriver {
  readonly name = 'memory'
  readonly capabilities = { shared: false, references: true, lock: false } as const
  readonly #limits: RoomLimits
  readonly #sizeOf: (value: unknown, limit: number) => number
  readonly #shelves = new Map<string, Shelf>()
  #time = new CoarseClock(systemClock)
  #room: Room

  constructor({ maxEntries = 100_000, maxBytes = '64mb', sizeOf: weigh = sizeOf }: MemoryCacheOptions) {
    this.#limits = { entries: maxEntries, bytes: parseBytes(maxBytes) }
    this.#sizeOf = weigh
    for (const [option, value] of [
      ['maxEntries', maxEntries],
      ['maxBytes', this.#limits.bytes],
    ] as const)
      if (!(value >= 1)) throw cacheErrors.error('cache.option_invalid', { meta: { option } })
    this.#room = this.#furnish()
  }

  start({ clock }: CacheDriverParts): void {
    this.#shelves.clear()
    this.#time = new CoarseClock(clock)
    this.#room = this.#furnish()
  }

  close(): void {
    this.clear()
  }

  shelf(prefix: string): CacheShelf {
    // One without entries is not kept: there may be a prefix for every tenant that ever was.
    return this.#shelves.get(prefix) ?? new Shelf(prefix, this.#time)
  }

  get(prefix: string, key: string): CacheEntry | undefined {
    const now = this.#time.now
    const slot = this.#find(prefix, key, now)
    if (slot === undefined) return undefined
    if (slot.hits < 3) slot.hits++
    return slot.entry(now)
  }

  getMany(prefix: string, keys: readonly string[]): readonly (CacheEntry | undefined)[] {
    return keys.map((key) => this.get(prefix, key))
  }

  set(prefix: string, key: string, entry: CacheEntry): boolean {
    const bytes = this.#weigh(key, entry)
    if (bytes > this.#room.largest) {
      this.delete(prefix, [key])
      return false
    }
    const slot = this.#open(prefix).slot(key)
    const now = this.#time.now
    slot.value = entry.value
    slot.freshUntil = now + entry.freshMs
    slot.goneAt = slot.freshUntil + entry.staleMs
    slot.eagerMs = entry.eagerMs
    slot.refreshTick = tickOf(slot.freshUntil - entry.eagerMs)
    slot.shelf.tag(slot, entry.tags)
    this.#room.place(slot, bytes)
    return slot.queue !== undefined
  }

  delete(prefix: string, keys: readonly string[]): number {
    const now = this.#time.now
    let deleted = 0
    for (const key of keys) {
      const slot = this.#shelves.get(prefix)?.slots.get(key)
      if (slot === undefined || slot.goneAt === 0) continue
      if (slot.alive(now)) deleted++
      slot.empty()
      this.#room.place(slot, entryBytes + sizeOf(key))
    }
    return deleted
  }

  increment(prefix: string, key: string, by: number, ttlMs: number): number {
    const slot = this.#find(prefix, key, this.#time.now)
    if (slot === undefined) {
      if (!Number.isSafeInteger(by)) throw cacheErrors.error('cache.not_a_counter')
      this.set(prefix, key, { value: by, freshMs: ttlMs, staleMs: 0, eagerMs: 0, tags: [] })
      return by
    }
    const sum = (slot.value as number) + by
    if (!slot.plain || !Number.isSafeInteger(slot.value) || !Number.isSafeInteger(sum))
      throw cacheErrors.error('cache.not_a_counter')
    slot.value = sum
    return sum
  }

  invalidateTags(prefix: string, tags: readonly string[]): void {
    const shelf = this.#shelves.get(prefix)
    if (shelf !== undefined) for (const tag of tags) shelf.invalidate(tag)
  }

  clear(namespace?: string): void {
    for (const [prefix, shelf] of this.#shelves) {
      if (namespace === undefined || prefix.startsWith(`${namespace}:`))
        for (const slot of shelf.slots.values()) this.#room.remove(slot)
    }
  }

  stats(): CacheStats {
    return { entries: this.#room.count, bytes: this.#room.bytes, evictions: this.#room.evictions }
  }

  #furnish(): Room {
    return new Room(this.#limits, this.#time, (slot) => this.#leave(slot))
  }

  #find(prefix: string, key: string, now: number): Slot | undefined {
    const slot = this.#shelves.get(prefix)?.slots.get(key)
    return slot?.alive(now) === true ? slot : undefined
  }

  #open(prefix: string): Shelf {
    let shelf = this.#shelves.get(prefix)
    if (shelf === undefined) {
      this.#shelves.set(prefix, (shelf = new Shelf(prefix, this.#time)))
      this.#room.fixedBytes += shelfBytes
    }
    return shelf
  }

  #leave(slot: Slot): void {
    const { shelf } = slot
    shelf.slots.delete(slot.key)
    shelf.tag(slot, [])
    if (shelf.slots.size > 0) return
    this.#shelves.delete(shelf.prefix)
    this.#room.fixedBytes -= shelfBytes
  }

  #weigh(key: string, { value, tags }: CacheEntry): number {
    let bytes = entryBytes + sizeOf(key) + this.#sizeOf(value, this.#limits.bytes)
    for (const tag of tags) bytes += tagBytes + sizeOf(tag)
    return bytes
  }
}
