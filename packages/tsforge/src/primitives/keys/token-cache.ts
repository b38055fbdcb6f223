import { hash } from 'node:crypto'
import { BoundedMap } from '../../kernel/bounded-map.ts'
import type { Verified } from './keys.ts'

export interface TokenCacheLimits {
  readonly entries: number
  readonly bytes: number
}

/** Rough cost of an entry beyond its claims: hash, objects, links. */
const overheadBytes = 600

/**
 * Tokens whose signature has been verified, bounded by number and by bytes. The key is the hash of the whole
 * token, signature included, so that no other token can hit it.
 */
export class TokenCache {
  hits = 0
  misses = 0
  readonly #tokens: BoundedMap<Verified>
  /** Cache keys by session. */
  readonly #sessions = new Map<string, Set<string>>()

  constructor({ entries, bytes }: TokenCacheLimits) {
    this.#tokens = new BoundedMap({ entries, weight: bytes, onRemove: (key, verified) => this.#unlink(key, verified) })
  }

  get size(): number {
    return this.#tokens.size
  }

  get bytes(): number {
    return this.#tokens.weight
  }

  static keyOf(token: string): string {
    return hash('sha256', token, 'base64url')
  }

  get(key: string): Verified | undefined {
    const verified = this.#tokens.get(key)
    if (verified === undefined) this.misses++
    else this.hits++
    return verified
  }

  set(key: string, token: string, verified: Verified): void {
    if (!this.#tokens.set(key, verified, token.length * 2 + overheadBytes)) return
    const { sid } = verified.claims
    if (sid === undefined) return
    const keys = this.#sessions.get(sid)
    if (keys === undefined) this.#sessions.set(sid, new Set([key]))
    else keys.add(key)
  }

  /** Drops the tokens of one session. */
  deleteSession(sid: string): void {
    for (const key of [...(this.#sessions.get(sid) ?? [])]) this.#tokens.delete(key)
  }

  deleteWhere(match: (verified: Verified) => boolean): void {
    for (const [key, verified] of this.#tokens) if (match(verified)) this.#tokens.delete(key)
  }

  #unlink(key: string, { claims: { sid } }: Verified): void {
    if (sid === undefined) return
    const keys = this.#sessions.get(sid)
    keys?.delete(key)
    if (keys?.size === 0) this.#sessions.delete(sid)
  }
}
