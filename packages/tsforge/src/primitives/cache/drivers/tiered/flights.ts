import type { CacheChange } from '../../driver.ts'

interface Target {
  count: number
  /** Grows when the address changes. */
  era: number
}

/**
 * Calls to the far store that are under way, so that what they bring is not kept when it changed on its way: the message of
 * a change may overtake the answer that was read before it.
 */
export class Flights {
  readonly #targets = new Map<string, Target>()
  /** Grows with every change that is not about single keys. */
  #era = 0

  /** The result goes into `clean` and `end`. */
  begin(prefix: string, key: string): number {
    const address = prefix + key
    const target = this.#targets.get(address)
    if (target === undefined) this.#targets.set(address, { count: 1, era: this.#era })
    else target.count++
    return target?.era ?? this.#era
  }

  /** Whether nothing has changed since. */
  clean(prefix: string, key: string, flight: number): boolean {
    return this.#targets.get(prefix + key)?.era === flight
  }

  end(prefix: string, key: string, _flight: number): void {
    const target = this.#targets.get(prefix + key)
    if (target !== undefined && --target.count === 0) this.#targets.delete(prefix + key)
  }

  note({ prefix, keys, tags }: CacheChange): void {
    if (this.#targets.size === 0) return
    this.#era++
    if (prefix === undefined || keys === undefined || tags !== undefined) {
      for (const target of this.#targets.values()) target.era = this.#era
      return
    }
    for (const key of keys) {
      const target = this.#targets.get(prefix + key)
      if (target !== undefined) target.era = this.#era
    }
  }
}
