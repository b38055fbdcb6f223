import { hash } from 'node:crypto'
import type { Verified } from './keys.ts'

interface Entry {
  readonly verified: Verified
  readonly bytes: number
}

export interface TokenCacheLimits {
  readonly entries: number
  readonly bytes: number
}

/** Rough cost of an entry beyond its claims: hash, objects, links. */
const overheadBytes = 600

/**
 * Tokens whose signature has been verified, least recently used first out, bounded by number and by bytes. The
 * key is the hash of the whole token, signature included, so that no other token can hit it.
 */
export class TokenCache {
  hits = 0
  misses = 0
  #bytes = 0
  readonly #limits: TokenCacheLimits
  readonly #entries = new Map<string, Entry>()
  readonly #bySession = new Map<string, Set<string>>()

  constructor(limits: TokenCacheLimits) {
    this.#limits = limits
  }

  get size(): number {
    return this.#entries.size
  }

  get bytes(): number {
    return this.#bytes
  }

  static keyOf(token: string): string {
    return hash('sha256', token, 'base64url')
  }

  get(key: string): Verified | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined) {
      this.misses++
      return undefined
    }
    this.hits++
    // A Map keeps insertion order: putting the entry last marks it as the most recently used.
    this.#entries.delete(key)
    this.#entries.set(key, entry)
    return entry.verified
  }

  set(key: string, token: string, verified: Verified): void {
    this.delete(key)
    const bytes = token.length * 2 + overheadBytes
    if (bytes > this.#limits.bytes || this.#limits.entries < 1) return
    this.#entries.set(key, { verified, bytes })
    this.#bytes += bytes
    const { sid } = verified.claims
    if (typeof sid === 'string') {
      const keys = this.#bySession.get(sid)
      if (keys === undefined) this.#bySession.set(sid, new Set([key]))
      else keys.add(key)
    }
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.#limits.entries && this.#bytes <= this.#limits.bytes) break
      this.delete(oldest)
    }
  }

  delete(key: string): void {
    const entry = this.#entries.get(key)
    if (entry === undefined) return
    this.#entries.delete(key)
    this.#bytes -= entry.bytes
    const { sid } = entry.verified.claims
    if (typeof sid !== 'string') return
    const keys = this.#bySession.get(sid)
    keys?.delete(key)
    if (keys?.size === 0) this.#bySession.delete(sid)
  }

  /** Drops the tokens of one session. */
  deleteSession(sid: string): void {
    for (const key of [...(this.#bySession.get(sid) ?? [])]) this.delete(key)
  }

  deleteWhere(match: (verified: Verified) => boolean): void {
    for (const [key, entry] of this.#entries) if (match(entry.verified)) this.delete(key)
  }
}
