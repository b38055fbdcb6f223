/** Never more than 1 MiB, however many entries are allowed. */
const mostPlaces = 2 ** 18

/** FNV-1a, never 0. */
function fingerprint(prefix: string, key: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < prefix.length; at++) hash = Math.imul(hash ^ prefix.charCodeAt(at), 0x01000193)
  for (let at = 0; at < key.length; at++) hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193)
  return hash >>> 0 || 1
}

/**
 * Remembers which keys left the small queue not long ago: 4 places of 4 bytes for each, in a table where a
 * newcomer overwrites who was there. A wrong answer only lets an entry in by the other door.
 */
export class Ghosts {
  readonly #places: Uint32Array

  constructor(entries: number) {
    this.#places = new Uint32Array(2 ** Math.ceil(Math.log2(Math.min(mostPlaces, Math.max(16, 4 * entries)))))
  }

  get bytes(): number {
    return this.#places.byteLength
  }

  add(prefix: string, key: string): void {
    const print = fingerprint(prefix, key)
    this.#places[this.#place(print)] = print
  }

  /** Whether the key is known; it is not afterwards. */
  take(prefix: string, key: string): boolean {
    const print = fingerprint(prefix, key)
    const place = this.#place(print)
    if (this.#places[place] !== print) return false
    this.#places[place] = 0
    return true
  }

  #place(print: number): number {
    return (print ^ (print >>> 15)) & (this.#places.length - 1)
  }
}
