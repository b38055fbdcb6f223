import { createSecretKey, verify } from 'node:crypto'
import { Secret } from '../../kernel/secret.ts'
import { signaturesErrors } from '../../primitives/signatures/index.ts'
import type { SignatureKey, SignedRequest } from '../../primitives/signatures/index.ts'
import { parseJson } from './json.ts'
import { textAt } from './places.ts'
import { createSnsCertificates } from './sns-certificates.ts'
import type { SnsCertificates } from './sns-certificates.ts'
import { readSnsMessage, topicForm } from './sns-message.ts'
import type { VerifierParts, WebhookRefusal, WebhookVerdict, WebhookVerifier } from './verifier.ts'

export interface SnsSpec {
  /** `false` refuses messages of SignatureVersion 1, which every topic has that was not told otherwise. Default true. */
  readonly sha1?: boolean
  /** Path of the kind of event in the JSON of `Message`, e.g. `notificationType`. Default: the `Type` of the envelope. */
  readonly event?: string
}

/** Repetitions keep their time, and SNS tries for an hour at most; the rest is for what held it up itself. */
const backMs = 90 * 60_000
const aheadMs = 5 * 60_000

/**
 * Amazon SNS over HTTPS, and whatever speaks through it (SES, CloudWatch, S3, …): `secrets` are the ARNs of the topics that may send.
 * Messages are signed by RSA (SignatureVersion 2: SHA-256; 1: SHA-1) under a certificate that is fetched from SNS itself. A subscription
 * of such a topic is confirmed by itself; raw delivery, which signs nothing, is refused.
 */
export function sns({ sha1 = true, event }: SnsSpec = {}): WebhookVerifier {
  const certificates = createSnsCertificates()
  return {
    scheme: {
      name: 'sns',
      signatureHeaders: [],
      key: topicKey,
      verify: (keys, request, parts) => verdictOf(keys, request, parts, { sha1, certificates }),
    },
    describe({ json, signedId }) {
      const type = textAt(json, 'Type')
      if (type === 'SubscriptionConfirmation') return { confirm: textAt(json, 'SubscribeURL') }
      const told =
        event === undefined || type !== 'Notification'
          ? undefined
          : textAt(parseJson(textAt(json, 'Message') ?? ''), event)
      return { id: signedId, signed: true, event: told ?? type }
    },
  }
}

function topicKey(secret: string | Secret): SignatureKey {
  const arn = secret instanceof Secret ? secret.reveal() : secret
  if (!topicForm.test(arn))
    throw signaturesErrors.error('signatures.secret_invalid', { meta: { reason: 'it is no ARN of a topic of SNS' } })
  return { kind: 'hmac', signing: undefined, verifying: createSecretKey(Buffer.from(arn)) }
}

async function verdictOf(
  keys: readonly SignatureKey[],
  { headers, body, nowMs, toleranceMs }: SignedRequest,
  parts: VerifierParts,
  { sha1, certificates }: { readonly sha1: boolean; readonly certificates: SnsCertificates },
): Promise<WebhookVerdict> {
  if (headers['x-amz-sns-rawdelivery'] === 'true') return refused('raw')
  const message = readSnsMessage(body)
  if (typeof message === 'string') return refused(message)
  const { topic, digest, signature, signed, sentMs, id } = message
  if (digest === 'sha1' && !sha1) return refused('malformed')
  if (sentMs - nowMs > (toleranceMs ?? aheadMs)) return refused('too_new')
  if (nowMs - sentMs > (toleranceMs ?? backMs)) return refused('too_old')
  const arn = Buffer.from(topic)
  const key = keys.findIndex(({ verifying }) => verifying.export().equals(arn))
  // Before anything is fetched: who knows no topic of ours makes us call nobody.
  if (key === -1) return refused('mismatch')
  const certificate = await certificates.find(message.certificateUrl, parts)
  if (certificate === undefined || nowMs < certificate.fromMs || nowMs > certificate.untilMs) return refused('mismatch')
  if (!verify(digest, Buffer.from(signed), certificate.key, signature)) return refused('mismatch')
  return { ok: true, id, timestamp: Math.floor(sentMs / 1000), key }
}

function refused(reason: WebhookRefusal): WebhookVerdict {
  return { ok: false, reason }
}
