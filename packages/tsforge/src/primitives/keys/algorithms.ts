import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  sign,
  timingSafeEqual,
  verify,
} from 'node:crypto'
import type { JsonWebKey, KeyObject } from 'node:crypto'
import type { Algorithm, PublicJwk } from './keys.ts'

export const algorithms: readonly Algorithm[] = ['EdDSA', 'ES256', 'RS256', 'HS256']

/** How one JWS algorithm signs and verifies. The algorithm comes from the stored key, never from a token. */
interface Scheme {
  sign(key: KeyObject, input: string): string
  verify(key: KeyObject, input: string, signature: Buffer): boolean
}

const asymmetric = (digest: 'sha256' | null, ieee: boolean, signatureBytes: number): Scheme => ({
  sign: (key, input) =>
    sign(digest, Buffer.from(input, 'latin1'), ieee ? { key, dsaEncoding: 'ieee-p1363' } : key).toString('base64url'),
  // The length first: JWS has exactly one form for a signature (RFC 7518, 3.4), so DER is none.
  verify: (key, input, signature) =>
    signature.length === signatureBytes &&
    verify(digest, Buffer.from(input, 'latin1'), ieee ? { key, dsaEncoding: 'ieee-p1363' } : key, signature),
})

export const schemes: Readonly<Record<Algorithm, Scheme>> = {
  EdDSA: asymmetric(null, false, 64),
  ES256: asymmetric('sha256', true, 64),
  RS256: asymmetric('sha256', false, 256),
  HS256: {
    sign: (key, input) => createHmac('sha256', key).update(input).digest('base64url'),
    verify: (key, input, signature) =>
      signature.length === 32 && timingSafeEqual(createHmac('sha256', key).update(input).digest(), signature),
  },
}

/** The half that signs. */
export function importPrivate(algorithm: Algorithm, jwk: JsonWebKey): KeyObject {
  return algorithm === 'HS256'
    ? createSecretKey(String(jwk.k), 'base64url')
    : createPrivateKey({ key: jwk, format: 'jwk' })
}

export function importPublic(jwk: PublicJwk): KeyObject {
  return createPublicKey({ key: { ...jwk }, format: 'jwk' })
}
