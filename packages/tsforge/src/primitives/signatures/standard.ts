import { sign, verify } from 'node:crypto'
import { equalTexts } from './equal.ts'
import { readHeader } from './headers.ts'
import { checkId, isId } from './ids.ts'
import { standardKey } from './keys.ts'
import { mac, signingPart } from './mac.ts'
import { listOf, malformed, maxSignatures, mismatch, missing } from './scheme.ts'
import type { Message, SignatureKey, SignatureKeys, SignatureScheme, SignedRequest, Verdict } from './scheme.ts'
import { readTimestamp, timestampText } from './timestamp.ts'

/**
 * Standard Webhooks 1.0: `webhook-id`, `webhook-timestamp`, `webhook-signature` over `id.timestamp.body`, as `v1` (HMAC-SHA256)
 * or `v1a` (ed25519), one for each key. Reads Svix' names of the headers too.
 * https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */
export const standard: SignatureScheme = {
  name: 'standard',
  signatureHeaders: ['webhook-signature', 'svix-signature'],
  key: standardKey,
  sign: (keys, message) => ({
    'webhook-id': checkId(message.id),
    'webhook-timestamp': timestampText(message.timestamp),
    'webhook-signature': signStandard(keys, message),
  }),
  verify: verifyStandard,
}

/** The value of `webhook-signature` alone: what signs in a loop and sets the other headers by itself. */
export function signStandard(keys: SignatureKeys, { id, timestamp, body }: Message): string {
  const head = `${checkId(id)}.${timestampText(timestamp)}.`
  if (!Array.isArray(keys)) return signature(keys as SignatureKey, head, body)
  let list = ''
  for (const key of keys as readonly SignatureKey[]) list += `${list === '' ? '' : ' '}${signature(key, head, body)}`
  if (list === '') throw new TypeError('signing needs a key')
  return list
}

function signature(key: SignatureKey, head: string, body: string | Uint8Array): string {
  const signing = signingPart(key)
  if (key.kind === 'hmac') return `v1,${mac(signing, 'sha256', 'base64', head, body)}`
  return `v1a,${sign(null, whole(head, body), signing).toString('base64')}`
}

function whole(head: string, body: string | Uint8Array): Buffer {
  return typeof body === 'string' ? Buffer.from(head + body) : Buffer.concat([Buffer.from(head), body])
}

const webhook = { id: 'webhook-id', timestamp: 'webhook-timestamp', signature: 'webhook-signature' }
const svix = { id: 'svix-id', timestamp: 'svix-timestamp', signature: 'svix-signature' }

function verifyStandard(keys: SignatureKeys, request: SignedRequest): Verdict {
  const names = request.headers['webhook-signature'] === undefined ? svix : webhook
  const id = readHeader(request, names.id)
  const stamp = readHeader(request, names.timestamp)
  const list = readHeader(request, names.signature)
  if (id === undefined || stamp === undefined || list === undefined) return missing
  if (id === null || stamp === null || list === null || !isId(id)) return malformed
  const timestamp = readTimestamp(stamp, request)
  if (typeof timestamp !== 'number') return timestamp
  const given = list.includes(' ') ? list.split(' ', maxSignatures + 1) : [list]
  if (given.length > maxSignatures) return malformed
  const key = matching(listOf(keys), `${id}.${stamp}.`, request.body, given)
  return key < 0 ? mismatch : { ok: true, id, timestamp, key }
}

function matching(
  keys: readonly SignatureKey[],
  head: string,
  body: string | Uint8Array,
  given: readonly string[],
): number {
  for (let at = 0; at < keys.length; at++) {
    const key = keys[at]!
    if (key.kind === 'ed25519') {
      if (given.some((each) => verifies(key, head, body, each))) return at
      continue
    }
    const expected = `v1,${mac(key.verifying, 'sha256', 'base64', head, body)}`
    for (const each of given) if (equalTexts(expected, each)) return at
  }
  return -1
}

function verifies(key: SignatureKey, head: string, body: string | Uint8Array, given: string): boolean {
  if (!given.startsWith('v1a,')) return false
  const bytes = Buffer.from(given.slice(4), 'base64')
  // One spelling counts: what is refused for a changed letter must not pass for another.
  if (bytes.length !== 64 || bytes.toString('base64') !== given.slice(4)) return false
  return verify(null, whole(head, body), key.verifying, bytes)
}
