import type { CacheChange } from '../../driver.ts'

/**
 * Changes that the store does not know of yet, one for each key and tag. When there are too many, they become one:
 * everything. What they are about is not to be read from the store.
 */
export class Debts {
  readonly #most: number
  readonly #changes = new Map<string, CacheChange>()

  constructor(most: number) {
    this.#most = most
  }

  get size(): number {
    return this.#changes.size
  }

  add({ prefix, keys, tags }: CacheChange): void {
    if (prefix === undefined || this.#changes.has('')) return this.#everything()
    if (keys === undefined && tags === undefined) this.#put(`n${prefix}`, { prefix })
    for (const key of keys ?? []) this.#put(`k${prefix}${key}`, { prefix, keys: [key] })
    for (const tag of tags ?? []) this.#put(`t${prefix}${tag}`, { prefix, tags: [tag] })
  }

  /** The oldest one. */
  next(): CacheChange | undefined {
    return this.#changes.values().next().value
  }

  /** Only this very change: it may have been added anew meanwhile. */
  paid(change: CacheChange): void {
    for (const [name, kept] of this.#changes) if (kept === change) return void this.#changes.delete(name)
  }

  /** The store knows this key again, by a later write. */
  settle(prefix: string, key: string): void {
    if (this.#changes.size > 0) this.#changes.delete(`k${prefix}${key}`)
  }

  /** Whether what the store has is older than a change that it does not know of. */
  hides(prefix: string, key: string, tags: readonly string[]): boolean {
    const changes = this.#changes
    if (changes.size === 0) return false
    if (changes.has('') || changes.has(`n${prefix.slice(0, prefix.indexOf(':') + 1)}`)) return true
    return changes.has(`k${prefix}${key}`) || tags.some((tag) => changes.has(`t${prefix}${tag}`))
  }

  #put(name: string, change: CacheChange): void {
    // Anew at the end: a change that was being made up for meanwhile is owed once more.
    this.#changes.delete(name)
    if (this.#changes.size >= this.#most) return this.#everything()
    this.#changes.set(name, change)
  }

  #everything(): void {
    this.#changes.clear()
    this.#changes.set('', {})
  }
}
