import type { Clock } from '../../kernel/clock.ts'
import type { Queryable } from '../db/index.ts'
import { keysErrors } from './errors.ts'
import type {
  Expected,
  Jwks,
  Keys,
  PublicJwk,
  RotateOptions,
  Rotation,
  SigningKey,
  SignOptions,
  TokenClaims,
  Verified,
} from './keys.ts'
import { KeyKeeper } from './key-keeper.ts'
import type { KeyRing } from './keyring.ts'
import type { KeysOptions } from './options.ts'
import type { KeysParts } from './parts.ts'
import { maxTokenLength, openToken, parseToken, signToken } from './token.ts'
import type { ParsedToken } from './token.ts'
import { TokenCache } from './token-cache.ts'

/** The service with what only its plugin needs. */
export interface RunningKeys extends Keys {
  readonly cache: TokenCache
  /** Makes the first keys where there are none, and begins to follow changes. */
  start(): Promise<void>
  stop(): Promise<void>
  /** Whether tokens can be signed. */
  readonly ready: boolean
}

/** Keys in a database. Works before `start`, too: the keys are loaded on first use then. */
export function createKeys(parts: KeysParts): RunningKeys {
  return new StoredKeys(parts)
}

class StoredKeys implements RunningKeys {
  readonly issuer: string
  readonly audience: string
  readonly maxTtlMs: number
  readonly cache: TokenCache
  readonly #options: KeysOptions
  readonly #clock: Clock
  readonly #keeper: KeyKeeper

  constructor(parts: KeysParts) {
    const { options, clock } = parts
    this.issuer = options.issuer
    this.audience = options.audience
    this.maxTtlMs = options.maxTtlMs
    this.#options = options
    this.#clock = clock
    this.cache = new TokenCache({ entries: options.cacheEntries, bytes: options.cacheBytes })
    this.#keeper = new KeyKeeper(parts, (ring) => this.cache.deleteWhere((verified) => !ring.keys.has(verified.kid)))
  }

  get ready(): boolean {
    return this.#keeper.ring !== undefined
  }

  start(): Promise<void> {
    return this.#keeper.start()
  }

  stop(): Promise<void> {
    return this.#keeper.stop()
  }

  sign(claims: TokenClaims, options: SignOptions): string | Promise<string> {
    if (!(options.ttlMs > 0 && options.ttlMs <= this.maxTtlMs)) {
      throw new RangeError(
        `a token lives for more than 0 and at most ${this.maxTtlMs} ms (FORGE_KEYS_MAX_TTL), not ${options.ttlMs}`,
      )
    }
    const { ring } = this.#keeper
    return ring === undefined
      ? this.#keeper.loaded().then((loaded) => this.#sign(loaded, claims, options))
      : this.#sign(ring, claims, options)
  }

  #sign(ring: KeyRing, claims: TokenClaims, { type, ttlMs, audience = this.audience }: SignOptions): string {
    const now = this.#clock.now()
    return signToken(ring.active, claims, { type, issuer: this.issuer, audience, now, expiresAt: now + ttlMs })
  }

  verify(token: string, expected: Expected): Verified | Promise<Verified> {
    if (typeof token !== 'string' || token.length > maxTokenLength) throw keysErrors.error('auth.token_invalid')
    const cacheKey = TokenCache.keyOf(token)
    const cached = this.cache.get(cacheKey)
    if (cached !== undefined) return this.#expect(cached, expected)
    const parsed = parseToken(token)
    if (parsed === undefined) throw keysErrors.error('auth.token_invalid')
    if (this.#keeper.ring?.keys.has(parsed.kid) === true) return this.#verify(token, cacheKey, parsed, expected)
    const found = this.#keeper.search()
    if (found === undefined) throw keysErrors.error('auth.token_invalid')
    return found.then(() => this.#verify(token, cacheKey, parsed, expected))
  }

  #verify(token: string, cacheKey: string, parsed: ParsedToken, expected: Expected): Verified {
    const key = this.#keeper.ring?.keys.get(parsed.kid)
    const claims = key === undefined ? undefined : openToken(parsed, key)
    if (claims === undefined) throw keysErrors.error('auth.token_invalid')
    const verified: Verified = Object.freeze({
      claims,
      type: parsed.type,
      kid: parsed.kid,
      expiresAt: claims.exp * 1000,
    })
    this.#expect(verified, expected)
    this.cache.set(cacheKey, token, verified)
    return verified
  }

  /** What may change between two uses of a token whose signature is known to be good. */
  #expect(verified: Verified, { type, audience = this.audience }: Expected): Verified {
    const { claims } = verified
    const now = this.#clock.now()
    const { leewayMs } = this.#options
    const key = this.#keeper.ring?.keys.get(verified.kid)
    if (
      key === undefined ||
      key.expiresAt <= now ||
      verified.type !== type ||
      claims.iss !== this.issuer ||
      claims.aud !== audience ||
      claims.nbf * 1000 > now + leewayMs ||
      claims.iat * 1000 > now + leewayMs
    ) {
      throw keysErrors.error('auth.token_invalid')
    }
    if (verified.expiresAt + leewayMs <= now) throw keysErrors.error('auth.token_expired')
    return verified
  }

  forget(match: string | ((verified: Verified) => boolean)): void {
    if (typeof match === 'string') this.cache.deleteSession(match)
    else this.cache.deleteWhere(match)
  }

  async jwks(): Promise<Jwks> {
    const ring = this.#keeper.ring ?? (await this.#keeper.loaded())
    const now = this.#clock.now()
    const keys: PublicJwk[] = []
    for (const key of ring.keys.values()) if (key.publicJwk !== null && key.expiresAt > now) keys.push(key.publicJwk)
    return { keys }
  }

  list(): Promise<SigningKey[]> {
    return this.#keeper.list()
  }

  rotate(options: RotateOptions = {}, tx?: Queryable): Promise<Rotation> {
    return this.#keeper.rotate(options, tx)
  }

  revoke(kid: string): Promise<void> {
    return this.#keeper.revoke(kid)
  }
}
