import { randomUUID } from 'node:crypto'
import { schemes } from './algorithms.ts'
import type { TokenClaims, TokenType, VerifiedClaims } from './keys.ts'
import type { RingKey } from './keyring.ts'

/** Nothing is computed for a longer token. */
export const maxTokenLength = 8192

/** Who a token is from and for, and when. Milliseconds. */
export interface Stamp {
  readonly type: TokenType
  readonly issuer: string
  readonly audience: string
  readonly now: number
  readonly expiresAt: number
}

/** Signs a compact JWS (RFC 7515, 7.1). `key` must be able to sign. */
export function signToken(
  key: RingKey,
  claims: TokenClaims,
  { type, issuer, audience, now, expiresAt }: Stamp,
): string {
  if (key.signing === undefined) throw new TypeError(`key ${key.kid} does not sign any more`)
  const issuedAt = Math.floor(now / 1000)
  const payload = {
    ...claims,
    iss: issuer,
    aud: audience,
    iat: issuedAt,
    nbf: issuedAt,
    exp: Math.floor(expiresAt / 1000),
    jti: randomUUID(),
  }
  const input = `${headerOf(key, type)}.${Buffer.from(JSON.stringify(payload)).toString('base64url')}`
  const token = `${input}.${schemes[key.algorithm].sign(key.signing, input)}`
  if (token.length > maxTokenLength) throw new RangeError(`a token of ${token.length} characters would be refused`)
  return token
}

function headerOf(key: RingKey, type: TokenType): string {
  let header = key.headers.get(type)
  if (header === undefined) {
    header = Buffer.from(JSON.stringify({ alg: key.algorithm, kid: key.kid, typ: type })).toString('base64url')
    key.headers.set(type, header)
  }
  return header
}

/** A token taken apart; nothing in it is trusted yet. */
export interface ParsedToken {
  readonly algorithm: string
  readonly kid: string
  readonly type: TokenType
  /** What the signature is over. */
  readonly input: string
  readonly payload: string
  readonly signature: Buffer
}

const compactForm = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/

/**
 * The only headers that exist are those that `signToken` writes, byte for byte. So there is no JSON of a
 * stranger to parse and no `crit`, `b64`, `jwk`, `jku`, `x5u` or repeated member to decide about.
 */
const headerForm = /^\{"alg":"([A-Z][A-Za-z0-9]{4})","kid":"([A-Za-z0-9_-]{1,64})","typ":"([a-z0-9.-]{1,32}\+jwt)"\}$/

/** Takes a token of at most `maxTokenLength` apart; `undefined` for anything that `signToken` cannot have made. */
export function parseToken(token: string): ParsedToken | undefined {
  if (!compactForm.test(token)) return undefined
  const first = token.indexOf('.')
  const last = token.lastIndexOf('.')
  const header = token.slice(0, first)
  const payload = token.slice(first + 1, last)
  const signature = token.slice(last + 1)
  if (!isCanonical(header) || !isCanonical(payload) || !isCanonical(signature)) return undefined
  const match = headerForm.exec(Buffer.from(header, 'base64url').toString('latin1'))
  if (match === null) return undefined
  const [, algorithm = '', kid = '', type = ''] = match
  return {
    algorithm,
    kid,
    type: type as TokenType,
    input: token.slice(0, last),
    payload,
    signature: Buffer.from(signature, 'base64url'),
  }
}

/** Whether unused bits of the last character are zero: each octet string has one encoding (RFC 4648, 3.5). */
function isCanonical(text: string): boolean {
  const rest = text.length % 4
  const last = text.at(-1) ?? ''
  if (rest === 0) return true
  return rest === 2 ? 'AQgw'.includes(last) : rest === 3 && 'AEIMQUYcgkosw048'.includes(last)
}

/** The claims of a token that `key` has signed, or `undefined`. */
export function openToken(token: ParsedToken, key: RingKey): VerifiedClaims | undefined {
  if (token.algorithm !== key.algorithm) return undefined
  if (!schemes[key.algorithm].verify(key.verifying, token.input, token.signature)) return undefined
  return readClaims(Buffer.from(token.payload, 'base64url').toString())
}

/** Our own signature vouches for the content; the shape is checked all the same, since `Verified` promises it. */
function readClaims(json: string): VerifiedClaims | undefined {
  let claims: unknown
  try {
    claims = JSON.parse(json)
  } catch {
    return undefined
  }
  if (typeof claims !== 'object' || claims === null || Array.isArray(claims)) return undefined
  const { iss, aud, sub, iat, nbf, exp, jti, sid } = claims as Record<string, unknown>
  if (
    typeof iss !== 'string' ||
    typeof aud !== 'string' ||
    typeof sub !== 'string' ||
    sub === '' ||
    typeof jti !== 'string'
  )
    return undefined
  if (!isTime(iat) || !isTime(nbf) || !isTime(exp) || (sid !== undefined && typeof sid !== 'string')) return undefined
  return freeze(claims) as VerifiedClaims
}

/** All the way down: the same claims are given to every request that brings the token. */
function freeze(value: object): object {
  for (const name in value) {
    const inner = (value as Record<string, unknown>)[name]
    if (typeof inner === 'object' && inner !== null) freeze(inner)
  }
  return Object.freeze(value)
}

/** Whole seconds since the epoch. */
function isTime(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
