import { equalTexts } from './equal.ts'
import { readHeader } from './headers.ts'
import { sharedKey } from './keys.ts'
import { mac, signingPart } from './mac.ts'
import { listOf, malformed, maxSignatures, mismatch, missing } from './scheme.ts'
import type { SignatureKeys, SignatureScheme, SignedRequest, Verdict } from './scheme.ts'
import { readTimestamp, timestampText } from './timestamp.ts'

/**
 * `Stripe-Signature: t=<seconds>,v1=<hex>[,v1=<hex>]` over `t.body`. The secret is the whole text, `whsec_` included.
 * https://docs.stripe.com/webhooks#verify-manually
 */
export const stripe: SignatureScheme = createTimestamped('stripe', 'stripe-signature')

/** Stripe's form under a header of one's own. */
export function createTimestamped(name: string, header: string): SignatureScheme {
  const lower = header.toLowerCase()
  return {
    name,
    signatureHeaders: [lower],
    key: (secret) => sharedKey(secret),
    sign(keys, { timestamp, body }) {
      const stamp = timestampText(timestamp)
      const parts = listOf(keys).map((key) => `v1=${mac(signingPart(key), 'sha256', 'hex', `${stamp}.`, body)}`)
      return { [lower]: [`t=${stamp}`, ...parts].join(',') }
    },
    verify: (keys, request) => verifyTimestamped(keys, request, lower),
  }
}

function verifyTimestamped(keys: SignatureKeys, request: SignedRequest, header: string): Verdict {
  const value = readHeader(request, header)
  if (value === undefined) return missing
  if (value === null) return malformed
  const parts = value.split(',', maxSignatures + 2)
  const stamps = parts.filter((part) => part.startsWith('t='))
  const given = parts.filter((part) => part.startsWith('v1='))
  if (stamps.length !== 1 || parts.length > maxSignatures + 1 || !parts.every((part) => part.includes('=')))
    return malformed
  const stamp = stamps[0]!.slice(2)
  const timestamp = readTimestamp(stamp, request)
  if (typeof timestamp !== 'number') return timestamp
  const list = listOf(keys)
  for (let key = 0; key < list.length; key++) {
    const expected = `v1=${mac(list[key]!.verifying, 'sha256', 'hex', `${stamp}.`, request.body)}`
    for (const each of given) if (equalTexts(expected, each)) return { ok: true, id: undefined, timestamp, key }
  }
  return mismatch
}
