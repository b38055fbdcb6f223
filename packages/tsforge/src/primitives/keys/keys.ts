import { port } from '../../kernel/plugin.ts'
import type { Port } from '../../kernel/plugin.ts'
import type { Queryable } from '../db/index.ts'

/** JWS algorithms that a key can have (RFC 7518, RFC 8037). */
export type Algorithm = 'EdDSA' | 'ES256' | 'RS256' | 'HS256'

/**
 * `next`: published but not yet used. `active`: signs. `retired`: verifies what it signed until it expires.
 */
export type KeyState = 'next' | 'active' | 'retired'

/** Value of the `typ` header (RFC 8725, 3.11). A token of one type is never accepted where another is asked for. */
export type TokenType = `${Lowercase<string>}+jwt`

export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json | undefined }

/** What the caller puts into a token. `iss`, `iat`, `nbf`, `exp` and `jti` are set by `sign`. */
export interface TokenClaims {
  /** Whom the token speaks about. */
  readonly sub: string
  /** Session; lets `forget(sid)` find the token in the cache. */
  readonly sid?: string
  readonly [claim: string]: Json | undefined
}

export interface SignOptions {
  readonly type: TokenType
  /** Life of the token, at most `FORGE_KEYS_MAX_TTL`; a longer one throws a `RangeError`. */
  readonly ttlMs: number
  /** Default: `FORGE_KEYS_AUDIENCE`. */
  readonly audience?: string
}

export interface Expected {
  readonly type: TokenType
  /** Default: `FORGE_KEYS_AUDIENCE`. */
  readonly audience?: string
}

/** Registered claims that every accepted token has, and the token's own. Seconds since the epoch. */
export interface VerifiedClaims extends TokenClaims {
  readonly iss: string
  readonly aud: string
  readonly iat: number
  readonly nbf: number
  readonly exp: number
  readonly jti: string
}

/**
 * An accepted token. Frozen, and the same object for the same token as long as it is cached, so it can key a
 * `WeakMap`.
 */
export interface Verified {
  readonly claims: VerifiedClaims
  readonly type: TokenType
  readonly kid: string
  /** Milliseconds since the epoch. */
  readonly expiresAt: number
}

/** A key as shown to people; nothing secret in it. Dates are `null` until they happen. */
export interface SigningKey {
  readonly kid: string
  readonly algorithm: Algorithm
  readonly state: KeyState
  readonly createdAt: Date
  /** From here on the key may become active: every JWKS cache knows it by then. */
  readonly notBefore: Date
  readonly activatedAt: Date | null
  readonly retiredAt: Date | null
  /** Set when retired: verifies until then, is gone afterwards. */
  readonly expiresAt: Date | null
}

/** A public key of the key set (RFC 7517). Never symmetric. */
export interface PublicJwk {
  readonly kty: string
  readonly kid: string
  readonly alg: Algorithm
  readonly use: 'sig'
  readonly crv?: string
  readonly x?: string
  readonly y?: string
  readonly n?: string
  readonly e?: string
}

/** A key set (RFC 7517, 5). */
export interface Jwks {
  keys: PublicJwk[]
}

export interface Rotation {
  /** False when somebody else rotated the same key first; nothing was changed then. */
  readonly rotated: boolean
  /** The key that signs now. */
  readonly active: string
  /** The key that will sign after the next rotation. */
  readonly next: string
}

export interface RotateOptions {
  /**
   * Rotates although the next key has not been published for as long as foreign caches live. For a leaked key;
   * verifiers with a stale key set may refuse new tokens until they reload.
   */
  readonly now?: boolean
}

/** Signs and verifies tokens with keys that rotate. */
export interface Keys {
  /** The `iss` of every token. */
  readonly issuer: string
  /** The default `aud`. */
  readonly audience: string
  /** The longest life that a token can have, so that others can check their settings when they are set up. */
  readonly maxTtlMs: number
  /** Makes a compact JWS. Synchronous unless the keys are not loaded yet. */
  sign(claims: TokenClaims, options: SignOptions): string | Promise<string>
  /**
   * Accepts a token of ours, or throws (rejects with) `auth.token_expired` for a genuine one past its time and
   * `auth.token_invalid` for everything else. Synchronous whenever the key is in memory.
   */
  verify(token: string, expected: Expected): Verified | Promise<Verified>
  /**
   * Drops cached tokens: of a session (by `sid`), or those that `match` accepts. They are verified again when
   * they come back; refusing them is the caller's business.
   */
  forget(match: string | ((verified: Verified) => boolean)): void
  /** The public keys in the states next, active and retired. Empty for HS256. */
  jwks(): Promise<Jwks>
  /** All keys, newest first. */
  list(): Promise<SigningKey[]>
  /** Makes `next` active, retires `active` and creates a new `next`. Throws `keys.rotation_too_soon`. */
  rotate(options?: RotateOptions, tx?: Queryable): Promise<Rotation>
  /**
   * Ends a key at once: every token that it signed is refused from now on. An active one is rotated away first.
   * Throws `keys.unknown`.
   */
  revoke(kid: string): Promise<void>
}

export const keysPort: Port<Keys> = port<Keys>('keys', () => import('./plugin.ts').then((m) => m.keys()))
