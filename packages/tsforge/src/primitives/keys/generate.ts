import { randomBytes } from 'node:crypto'
import type { Algorithm, PublicJwk } from './keys.ts'

/** A new key in portable form. `publicJwk` is `null` for HS256. */
export interface GeneratedKey {
  readonly kid: string
  readonly algorithm: Algorithm
  readonly publicJwk: PublicJwk | null
  readonly privateJwk: Readonly<Record<string, unknown>>
}

/** Makes a key: Ed25519, P-256, RSA 2048 or 256 random bits. */
export async function generateKey(algorithm: Algorithm): Promise<GeneratedKey> {
  // Random and not a fingerprint: a kid must say nothing about its key. Needed once in weeks, hence the lazy import.
  const kid = randomBytes(16).toString('base64url')
  const jose = await import('jose')
  if (algorithm === 'HS256') {
    const secret = await jose.generateSecret(algorithm, { extractable: true })
    return { kid, algorithm, publicJwk: null, privateJwk: { ...(await jose.exportJWK(secret)) } }
  }
  const pair = await jose.generateKeyPair(algorithm, { extractable: true })
  const publicJwk = { ...(await jose.exportJWK(pair.publicKey)), kid, alg: algorithm, use: 'sig' } as PublicJwk
  return { kid, algorithm, publicJwk, privateJwk: { ...(await jose.exportJWK(pair.privateKey)) } }
}
