import type { CacheShelf, CacheSlot } from '../../driver.ts'
import type { CoarseClock } from './coarse-clock.ts'
import { anyDead, Slot } from './slot.ts'
import type { Home, Tag } from './slot.ts'

/**
 * The entries of one prefix. A deleted key keeps its (empty) slot until it is evicted: deleting and setting one key over
 * and over would leave a chain in V8's hash table that makes every lookup of it linear.
 */
export class Shelf implements CacheShelf, Home {
  readonly prefix: string
  readonly slots: Map<string, Slot> = new Map<string, Slot>()
  readonly #tags = new Map<string, Tag>()
  readonly #time: CoarseClock

  constructor(prefix: string, time: CoarseClock) {
    this.prefix = prefix
    this.#time = time
  }

  fresh(key: string): CacheSlot | undefined {
    const slot = this.slots.get(key)
    if (slot === undefined || slot.refreshTick <= this.#time.tick) return undefined
    if (slot.tags !== undefined && anyDead(slot.tags)) return undefined
    if (slot.hits < 3) slot.hits++
    return slot
  }

  /** The slot of a key, made when there is none. */
  slot(key: string): Slot {
    let slot = this.slots.get(key)
    if (slot === undefined) this.slots.set(key, (slot = new Slot(this, key)))
    return slot
  }

  /** Replaces the tags of a slot. */
  tag(slot: Slot, names: readonly string[]): void {
    const old = slot.tags
    slot.tags = names.length === 0 ? undefined : names.map((name) => this.#hold(name))
    if (old !== undefined) for (const tag of old) this.#let(tag)
  }

  invalidate(name: string): void {
    const tag = this.#tags.get(name)
    if (tag === undefined) return
    tag.dead = true
    this.#tags.delete(name)
  }

  #hold(name: string): Tag {
    let tag = this.#tags.get(name)
    if (tag === undefined) this.#tags.set(name, (tag = { name, dead: false, uses: 0 }))
    tag.uses++
    return tag
  }

  #let(tag: Tag): void {
    if (--tag.uses === 0 && !tag.dead) this.#tags.delete(tag.name)
  }
}
