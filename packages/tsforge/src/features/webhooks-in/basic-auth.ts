import { createHash, createSecretKey } from 'node:crypto'
import { equalBytes, Secret } from '../../kernel/secret.ts'
import { signaturesErrors } from '../../primitives/signatures/index.ts'
import { at } from './places.ts'
import type { Place } from './places.ts'
import type { WebhookScheme, WebhookVerdict, WebhookVerifier } from './verifier.ts'

export interface BasicAuthSpec {
  /** Default, and where a delivery has none there: the digest of the body. */
  readonly id?: Place
  /** Default: `type` of the body. */
  readonly event?: Place
}

const fewestBytes = 16
const mostBytes = 1024

/**
 * Senders that sign nothing and show user and password (RFC 7617), such as Postmark: the secrets are `user:password`, the password
 * of 16 bytes at least. Nothing is proven of the body: whoever reads a request can send any other, so use https alone.
 */
export function basicAuth({ id, event = { field: 'type' } }: BasicAuthSpec = {}): WebhookVerifier {
  return {
    scheme,
    // Whoever could send it under another id could send anything: its id alone counts.
    describe: (request) => ({
      id: id === undefined ? undefined : at(request, id),
      signed: true,
      event: at(request, event),
    }),
  }
}

const scheme: WebhookScheme = {
  name: 'basic',
  signatureHeaders: ['authorization'],
  challenge: 'Basic realm="webhooks", charset="UTF-8"',
  key(secret) {
    const text = secret instanceof Secret ? secret.reveal() : secret
    const colon = text.indexOf(':')
    const bytes = Buffer.byteLength(text.slice(colon + 1))
    if (colon < 1 || bytes < fewestBytes || bytes > mostBytes || /\p{Cc}/u.test(text))
      throw signaturesErrors.error('signatures.secret_invalid', {
        meta: { reason: 'it must be user:password, the password of 16 to 1024 bytes' },
      })
    // Only what is compared is kept: a digest, whose length tells nothing of the password's.
    const verifying = createSecretKey(digest(Buffer.from(text).toString('base64')))
    return { kind: 'hmac', signing: undefined, verifying }
  },
  verify(keys, { headers }): WebhookVerdict {
    const { authorization } = headers
    if (authorization === undefined || authorization === '') return { ok: false, reason: 'missing' }
    // Base64 has several spellings of the same bytes; the one of all senders is compared, and nothing is decoded.
    const given = typeof authorization === 'string' ? /^basic +([\w+/]+={0,2})$/i.exec(authorization)?.[1] : undefined
    if (given === undefined) return { ok: false, reason: 'malformed' }
    const theirs = digest(given)
    const key = keys.findIndex(({ verifying }) => equalBytes(verifying.export(), theirs))
    return key === -1 ? { ok: false, reason: 'mismatch' } : { ok: true, id: undefined, timestamp: undefined, key }
  },
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
