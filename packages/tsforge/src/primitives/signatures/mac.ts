import { createHmac } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { signaturesErrors } from './errors.ts'
import type { SignatureKey } from './scheme.ts'

export type HmacAlgorithm = 'sha256' | 'sha384' | 'sha512'
export type MacEncoding = 'hex' | 'base64' | 'base64url'

/** HMAC over `head`, the body and `tail`; a body of bytes is not copied. */
export function mac(
  key: KeyObject,
  algorithm: HmacAlgorithm,
  encoding: MacEncoding,
  head: string,
  body: string | Uint8Array,
  tail = '',
): string {
  const hmac = createHmac(algorithm, key)
  if (typeof body === 'string') return hmac.update(head + body + tail).digest(encoding)
  if (head !== '') hmac.update(head)
  hmac.update(body)
  if (tail !== '') hmac.update(tail)
  return hmac.digest(encoding)
}

export function signingPart({ signing }: SignatureKey): KeyObject {
  if (signing === undefined) throw signaturesErrors.error('signatures.key_public')
  return signing
}
