import { createPrivateKey, createPublicKey, createSecretKey, generateKeyPairSync, randomBytes } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { Secret } from '../../kernel/secret.ts'
import { signaturesErrors } from './errors.ts'
import type { SignatureKey } from './scheme.ts'

const unusable = (reason: string): Error => signaturesErrors.error('signatures.secret_invalid', { meta: { reason } })

export function textOf(secret: string | Secret): string {
  return secret instanceof Secret ? secret.reveal() : secret
}

export type SecretEncoding = 'utf8' | 'base64' | 'hex'

/** The shortest secret that is taken: 128 bits would need it, were it random. */
const fewestBytes = 16

/** A shared secret as senders show it. Throws `signatures.secret_invalid`. */
export function sharedKey(secret: string | Secret, encoding: SecretEncoding = 'utf8'): SignatureKey {
  const text = textOf(secret)
  const bytes = encoding === 'utf8' ? Buffer.from(text) : decode(text, encoding)
  if (bytes.length < fewestBytes || bytes.length > 4096) throw unusable('it must have 16 to 4096 bytes')
  return hmacKey(bytes)
}

/**
 * `whsec_` (24 to 64 bytes, HMAC), `whsk_` (ed25519, the seed of 32 bytes or seed and public key) or `whpk_` (ed25519,
 * public, verifies only), each with base64 behind it. Throws `signatures.secret_invalid`.
 */
export function standardKey(secret: string | Secret): SignatureKey {
  const text = textOf(secret)
  const bytes = (): Buffer => decode(text.slice(text.indexOf('_') + 1), 'base64')
  if (text.startsWith('whsec_')) {
    const raw = bytes()
    if (raw.length < 24 || raw.length > 64) throw unusable('behind whsec_ there must be 24 to 64 bytes')
    return hmacKey(raw)
  }
  if (text.startsWith('whsk_')) return privateKey(bytes())
  if (text.startsWith('whpk_')) return { kind: 'ed25519', signing: undefined, verifying: publicKey(bytes()) }
  throw unusable('it must begin with whsec_, whsk_ or whpk_')
}

/** `whsec_` and base64 of random bytes; 24 to 64, default 32. */
export function newStandardSecret(bytes = 32): string {
  if (!Number.isInteger(bytes) || bytes < 24 || bytes > 64) throw unusable('it must have 24 to 64 bytes')
  return `whsec_${randomBytes(bytes).toString('base64')}`
}

/** An ed25519 pair: what signs (64 bytes, seed and public key) and what receivers get. */
export function newStandardKeyPair(): { readonly privateKey: string; readonly publicKey: string } {
  const { d, x } = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' })
  const [seed, open] = [Buffer.from(d!, 'base64url'), Buffer.from(x!, 'base64url')]
  return {
    privateKey: `whsk_${Buffer.concat([seed, open]).toString('base64')}`,
    publicKey: `whpk_${open.toString('base64')}`,
  }
}

/** The `whpk_` of a `whsk_`. */
export function publicKeyOf(secret: string | Secret): string {
  const key = standardKey(secret)
  if (key.kind !== 'ed25519') throw unusable('it is shared, not a pair')
  return `whpk_${rawPublic(key.verifying).toString('base64')}`
}

function hmacKey(bytes: Buffer): SignatureKey {
  const key = createSecretKey(bytes)
  return { kind: 'hmac', signing: key, verifying: key }
}

/** What stands before the raw bytes of a key in PKCS #8 and SPKI (RFC 8410). */
const pkcs8 = Buffer.from('302e020100300506032b657004220420', 'hex')
const spki = Buffer.from('302a300506032b6570032100', 'hex')

function privateKey(bytes: Buffer): SignatureKey {
  if (bytes.length !== 32 && bytes.length !== 64) throw unusable('behind whsk_ there must be 32 or 64 bytes')
  const signing = createPrivateKey({
    key: Buffer.concat([pkcs8, bytes.subarray(0, 32)]),
    format: 'der',
    type: 'pkcs8',
  })
  const verifying = createPublicKey(signing)
  if (bytes.length === 64 && !rawPublic(verifying).equals(bytes.subarray(32)))
    throw unusable('its public half belongs to another key')
  return { kind: 'ed25519', signing, verifying }
}

function publicKey(bytes: Buffer): KeyObject {
  if (bytes.length !== 32) throw unusable('behind whpk_ there must be 32 bytes')
  return createPublicKey({ key: Buffer.concat([spki, bytes]), format: 'der', type: 'spki' })
}

function rawPublic(key: KeyObject): Buffer {
  return key.export({ format: 'der', type: 'spki' }).subarray(spki.length)
}

/** Strict: Node skips what does not belong, and a secret with a typing mistake would become another secret. */
function decode(text: string, encoding: 'base64' | 'hex'): Buffer {
  const bytes = Buffer.from(text, encoding)
  const spelled = bytes.toString(encoding)
  const same =
    encoding === 'hex' ? spelled === text.toLowerCase() : spelled.replace(/=+$/, '') === text.replace(/=+$/, '')
  if (!same) throw unusable(`it is no ${encoding}`)
  return bytes
}
