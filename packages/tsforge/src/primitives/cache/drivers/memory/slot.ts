import type { CacheEntry, CacheSlot } from '../../driver.ts'

/** A tag as its entries know it. Invalidation kills it, whoever holds it; the next entry makes a new one. */
export interface Tag {
  readonly name: string
  dead: boolean
  /** Entries that hold it. */
  uses: number
}

/** What a slot knows of its shelf. */
export interface Home {
  readonly prefix: string
  readonly slots: Map<string, Slot>
  tag(slot: Slot, names: readonly string[]): void
}

/** One entry. Kept (empty) after a delete until it is its turn to leave; see `Shelf`. */
export class Slot implements CacheSlot {
  // What a hit looks at comes first: it lies in one line of the processor's cache.
  value: unknown = undefined
  /** Until then (in ticks) a hit needs no further thought. */
  refreshTick = 0
  /** Hits since it entered its queue, at most 3. */
  hits = 0
  tags: readonly Tag[] | undefined = undefined
  freshUntil = 0
  goneAt = 0
  eagerMs = 0
  bytes = 0
  readonly shelf: Home
  readonly key: string
  queue: Queue | undefined = undefined
  newer: Slot | undefined = undefined
  older: Slot | undefined = undefined

  constructor(shelf: Home, key: string) {
    this.shelf = shelf
    this.key = key
  }

  /** Whether there is something to give at `now`. */
  alive(now: number): boolean {
    return this.goneAt > now && (this.tags === undefined || !anyDead(this.tags))
  }

  /** A value that can be counted up: nothing but a value with an end. */
  get plain(): boolean {
    return this.tags === undefined && this.goneAt === this.freshUntil && this.eagerMs === 0
  }

  /** Forgets the value; the slot stays. */
  empty(): void {
    this.value = undefined
    this.refreshTick = this.freshUntil = this.goneAt = this.eagerMs = this.hits = 0
    this.shelf.tag(this, [])
  }

  entry(now: number): CacheEntry {
    return {
      value: this.value,
      freshMs: this.freshUntil - now,
      // Sums of times have a rest behind the comma that nobody asked for.
      staleMs: Math.round(this.goneAt - this.freshUntil),
      eagerMs: this.eagerMs,
      tags: this.tags === undefined ? [] : this.tags.map((tag) => tag.name),
    }
  }
}

/** A FIFO of slots, linked through the slots themselves, so that one can leave from the middle. */
export class Queue {
  #newest: Slot | undefined
  #oldest: Slot | undefined
  count = 0
  bytes = 0

  get oldest(): Slot | undefined {
    return this.#oldest
  }

  push(slot: Slot): void {
    slot.queue = this
    slot.older = this.#newest
    slot.newer = undefined
    if (this.#newest === undefined) this.#oldest = slot
    else this.#newest.newer = slot
    this.#newest = slot
    this.count++
    this.bytes += slot.bytes
  }

  remove(slot: Slot): void {
    if (slot.newer === undefined) this.#newest = slot.older
    else slot.newer.older = slot.older
    if (slot.older === undefined) this.#oldest = slot.newer
    else slot.older.newer = slot.newer
    slot.newer = slot.older = slot.queue = undefined
    this.count--
    this.bytes -= slot.bytes
  }
}

export function anyDead(tags: readonly Tag[]): boolean {
  for (const tag of tags) if (tag.dead) return true
  return false
}
