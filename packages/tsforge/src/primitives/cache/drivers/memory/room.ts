import type { CoarseClock } from './coarse-clock.ts'
import { entryBytes } from './size-of.ts'
import { Ghosts } from './ghosts.ts'
import { Queue } from './slot.ts'
import type { Slot } from './slot.ts'

export interface RoomLimits {
  readonly entries: number
  readonly bytes: number
}

/** The share of newcomers on probation, as in the paper. */
const smallShare = 0.1

/**
 * Who stays when there is no room for all: S3-FIFO (Yang et al., "FIFO queues are all you need for cache eviction",
 * SOSP 2023), by entries and by bytes. Newcomers pass through a small queue and enter the main one only when they were
 * asked for more than once, or come back soon after they left: a scan of keys that nobody asks for again washes
 * through the small queue and leaves the rest alone (SIEVE, which moves as little at a hit, does not resist scans). A
 * hit counts up to 3 and moves nothing.
 */
export class Room {
  readonly #limits: RoomLimits
  readonly #time: CoarseClock
  readonly #leave: (slot: Slot) => void
  readonly #small = new Queue()
  readonly #main = new Queue()
  readonly #ghosts: Ghosts
  evictions = 0
  /** What is there beside the entries. */
  fixedBytes: number

  constructor(limits: RoomLimits, time: CoarseClock, leave: (slot: Slot) => void) {
    this.#limits = limits
    this.#time = time
    this.#leave = leave
    this.#ghosts = new Ghosts(Math.min(limits.entries, limits.bytes / entryBytes))
    this.fixedBytes = this.#ghosts.bytes
  }

  get count(): number {
    return this.#small.count + this.#main.count
  }

  get bytes(): number {
    return this.fixedBytes + this.#small.bytes + this.#main.bytes
  }

  /** The largest entry that can stay. */
  get largest(): number {
    return this.#limits.bytes - this.fixedBytes - 1024
  }

  /** Notes what a slot weighs now, lets a new one in, and lets others leave for it. */
  place(slot: Slot, bytes: number): void {
    const { queue } = slot
    if (queue === undefined) {
      slot.bytes = bytes
      const known = this.#ghosts.take(slot.shelf.prefix, slot.key)
      ;(known ? this.#main : this.#small).push(slot)
    } else {
      queue.bytes += bytes - slot.bytes
      slot.bytes = bytes
    }
    while (this.count > 0 && (this.count > this.#limits.entries || this.bytes > this.#limits.bytes)) this.#evict()
  }

  remove(slot: Slot): void {
    slot.queue?.remove(slot)
    this.#leave(slot)
  }

  #evict(): void {
    const { entries, bytes } = this.#limits
    const small = this.#small
    const crowded = small.count > 1 && (small.count > entries * smallShare || small.bytes > bytes * smallShare)
    if (crowded || this.#main.count === 0) this.#evictSmall()
    else this.#evictMain()
  }

  #evictSmall(): void {
    const now = this.#time.now
    for (let slot = this.#small.oldest; slot !== undefined; slot = this.#small.oldest) {
      // A newcomer is not sent away at once because all before it were wanted.
      if (this.#small.count === 1 && this.#main.count > 0) return
      const alive = slot.alive(now)
      if (!alive || slot.hits < 2) {
        if (alive) this.#ghosts.add(slot.shelf.prefix, slot.key)
        return this.#drop(slot)
      }
      this.#small.remove(slot)
      slot.hits = 0
      this.#main.push(slot)
    }
  }

  #evictMain(): void {
    const now = this.#time.now
    for (let slot = this.#main.oldest; slot !== undefined; slot = this.#main.oldest) {
      if (slot.hits === 0 || !slot.alive(now)) return this.#drop(slot)
      this.#main.remove(slot)
      slot.hits--
      this.#main.push(slot)
    }
  }

  #drop(slot: Slot): void {
    if (slot.goneAt > 0) this.evictions++
    this.remove(slot)
  }
}
