import type { KeyObject } from 'node:crypto'
import type { Secret } from '../../kernel/secret.ts'

/** A secret made ready once, so that signing parses nothing. Shows nothing of itself when it is printed. */
export interface SignatureKey {
  readonly kind: 'hmac' | 'ed25519'
  /** `undefined`: a public key, which verifies only. */
  readonly signing: KeyObject | undefined
  readonly verifying: KeyObject
}

export type SignatureKeys = SignatureKey | readonly SignatureKey[]

export interface Message {
  /** Of the delivery, the same in every attempt. Schemes that do not sign one ignore it. */
  readonly id?: string
  /** Whole seconds since 1970. Schemes that do not sign one ignore it. */
  readonly timestamp: number
  /** Exactly the bytes that are sent; a text counts as UTF-8. */
  readonly body: string | Uint8Array
}

export interface SignedRequest {
  /** Names in lower case, as Node gives them. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  /** Exactly the bytes that came. */
  readonly body: string | Uint8Array
  /** Milliseconds since 1970, of an injected clock. */
  readonly nowMs: number
  /** How far the timestamp may be from now, both ways. Default 5 minutes. */
  readonly toleranceMs?: number
}

/**
 * `missing`: a header that the scheme needs is absent. `malformed`: it is there in a form that no sender gives it.
 * `too_old`, `too_new`: outside of the tolerance. `mismatch`: signed by another key, or something was altered.
 * Whoever asks must not learn whether it was `malformed` or a `mismatch`.
 */
export type Refusal = 'missing' | 'malformed' | 'too_old' | 'too_new' | 'mismatch'

export type Verdict =
  | {
      readonly ok: true
      /** What was signed along; `undefined` where the scheme has none. */
      readonly id: string | undefined
      readonly timestamp: number | undefined
      /** Which of the keys it was. */
      readonly key: number
    }
  | { readonly ok: false; readonly reason: Refusal }

/** One way of signing webhooks. */
export interface SignatureScheme {
  /** E.g. `standard`, for logs and metrics. */
  readonly name: string
  /** Headers that carry signatures, in lower case: not to be stored or logged. */
  readonly signatureHeaders: readonly string[]
  /** Throws `signatures.secret_invalid`. */
  key(secret: string | Secret): SignatureKey
  /**
   * The headers to send. Several keys sign at once where the scheme can say so (rotation), else the first one does. Throws
   * `signatures.message_invalid`, `signatures.key_public`.
   */
  sign(keys: SignatureKeys, message: Message): Record<string, string>
  /** Never throws for what a stranger sent. At most 16 signatures of a request are looked at; more are `malformed`. */
  verify(keys: SignatureKeys, request: SignedRequest): Verdict
}

export const defaultToleranceMs: number = 5 * 60_000
export const maxSignatures = 16

type Refused = Extract<Verdict, { ok: false }>

const refused = (reason: Refusal): Refused => Object.freeze({ ok: false, reason })
export const missing: Refused = refused('missing')
export const malformed: Refused = refused('malformed')
export const tooOld: Refused = refused('too_old')
export const tooNew: Refused = refused('too_new')
export const mismatch: Refused = refused('mismatch')

export function listOf(keys: SignatureKeys): readonly SignatureKey[] {
  return Array.isArray(keys) ? (keys as readonly SignatureKey[]) : [keys as SignatureKey]
}
