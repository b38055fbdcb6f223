interface Slot<V> {
  readonly value: V
  readonly weight: number
  /** Whether it was asked for since the hand last passed. */
  used: boolean
}

export interface BoundedMapLimits<V> {
  readonly entries: number
  /** Most weight (bytes, say) of all entries together. Default: no limit. */
  readonly weight?: number
  /** Told of every entry that leaves, whatever the reason; keeps other indexes in step. */
  readonly onRemove?: (key: string, value: V) => void
}

/**
 * A map for caches that keeps what is asked for and drops the rest: SIEVE (Zhang et al., NSDI 2024). A hit sets a
 * bit and moves nothing. The usual trick of deleting and setting a key to make it the newest is not used, since
 * deleted keys stay in V8's hash chains until the next rehash: one hot key makes every lookup of it linear.
 */
export class BoundedMap<V> {
  readonly #slots = new Map<string, Slot<V>>()
  readonly #limits: BoundedMapLimits<V>
  #weight = 0
  /** Goes round and round; what was not used since the last time leaves. Survives changes of the map. */
  #hand: Iterator<[string, Slot<V>], undefined> = this.#slots.entries()

  constructor(limits: BoundedMapLimits<V>) {
    this.#limits = limits
  }

  get size(): number {
    return this.#slots.size
  }

  get weight(): number {
    return this.#weight
  }

  get(key: string): V | undefined {
    const slot = this.#slots.get(key)
    if (slot === undefined) return undefined
    slot.used = true
    return slot.value
  }

  /** Stores or replaces, and tells whether the entry is there now: one that is heavier than the whole limit is not. */
  set(key: string, value: V, weight = 1): boolean {
    const { entries, weight: heaviest = Number.POSITIVE_INFINITY } = this.#limits
    const old = this.#slots.get(key)
    if (entries < 1 || weight > heaviest) {
      this.delete(key)
      return false
    }
    this.#slots.set(key, { value, weight, used: old !== undefined })
    this.#weight += weight - (old?.weight ?? 0)
    if (old !== undefined) this.#limits.onRemove?.(key, old.value)
    while (this.#slots.size > entries || this.#weight > heaviest) this.#evict()
    return this.#slots.has(key)
  }

  delete(key: string): boolean {
    const slot = this.#slots.get(key)
    if (slot === undefined) return false
    this.#slots.delete(key)
    this.#weight -= slot.weight
    this.#limits.onRemove?.(key, slot.value)
    return true
  }

  clear(): void {
    for (const key of this.#slots.keys()) this.delete(key)
  }

  *[Symbol.iterator](): Generator<[string, V], void> {
    for (const [key, { value }] of this.#slots) yield [key, value]
  }

  #evict(): void {
    for (;;) {
      const step = this.#hand.next()
      if (step.done === true) this.#hand = this.#slots.entries()
      else if (step.value[1].used) step.value[1].used = false
      else return void this.delete(step.value[0])
    }
  }
}
