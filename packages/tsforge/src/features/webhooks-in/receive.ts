import { createHash } from 'node:crypto'
import type { Clock } from '../../kernel/clock.ts'
import { isUuid, uuidv7 } from '../../kernel/ids.ts'
import type { Log } from '../../kernel/log.ts'
import type { Refusal, Verdict } from '../../primitives/signatures/index.ts'
import type { NewDelivery } from './delivery-repository.ts'
import { webhooksInErrors } from './errors.ts'
import { webhookRefused } from './events.ts'
import { storableHeaders } from './headers.ts'
import type { WebhooksInMeters } from './meters.ts'
import { decoy, keysFor } from './secrets.ts'
import type { WebhookSource } from './source.ts'
import type { Description, VerifiedRequest } from './verifier.ts'
import type { IncomingWebhook } from './webhooks-in.ts'

export interface Verified {
  readonly tenantId: string | null
  readonly request: VerifiedRequest
  /** Seconds since 1970. */
  readonly timestamp: number | undefined
}

interface Parts {
  readonly clock: Clock
  readonly log: Log
  readonly meters: WebhooksInMeters
}

/** Throws the one of three refusals that tells no secret: what a stranger could find out without a key anyway. */
export async function verify(source: WebhookSource, incoming: IncomingWebhook, parts: Parts): Promise<Verified> {
  const { headers, body, tenant, ip } = incoming
  // One that cannot be a tenant is an unknown one, at the same price.
  const known = tenant === undefined || isUuid(tenant)
  const tenantId = tenant === undefined || !known ? null : tenant.toLowerCase()
  const keys = known ? await keysFor(source, { tenantId, headers }, parts.log) : []
  const verdict = source.verifier.scheme.verify(keys.length === 0 ? decoy : keys, {
    headers,
    body,
    nowMs: parts.clock.now(),
    ...(source.toleranceMs !== undefined && { toleranceMs: source.toleranceMs }),
  })
  if (!verdict.ok || keys.length === 0) {
    const reason = reasonOf(verdict)
    const told = keys.length === 0 && reason === 'mismatch' ? 'no_secret' : reason
    parts.meters.count(source.name, told)
    if (webhookRefused.hasSubscribers) webhookRefused.publish({ source: source.name, tenantId, reason: told, ip })
    throw webhooksInErrors.error(`webhooks_in.${answers[reason]}`)
  }
  return { tenantId, timestamp: verdict.timestamp, request: { headers, body, json: parse(body), signedId: verdict.id } }
}

const answers = {
  missing: 'signature_missing',
  too_old: 'timestamp_invalid',
  too_new: 'timestamp_invalid',
  malformed: 'signature_invalid',
  mismatch: 'signature_invalid',
} as const satisfies Record<Refusal, string>

function reasonOf(verdict: Verdict): Refusal {
  return verdict.ok ? 'mismatch' : verdict.reason
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8')) as unknown
  } catch {
    return undefined
  }
}

/** What is stored of a request that was verified. */
export function deliveryOf(
  source: WebhookSource,
  { tenantId, request, timestamp }: Verified,
  { id, signed = false, event }: Description,
  now: Date,
): NewDelivery {
  const proof = createHash('sha256')
    .update(`${timestamp ?? ''}.`)
    .update(request.body)
    .digest()
  const given = id !== undefined && /^[!-~]{1,256}$/.test(id)
  const type = request.headers['content-type']
  return {
    id: uuidv7(),
    source: source.name,
    tenantId,
    deliveryId: given ? id : `sha256:${proof.toString('base64url')}`,
    proof: given && !signed ? proof : null,
    event: event !== undefined && /^[!-~]{1,200}$/.test(event) ? event : null,
    signedAt: timestamp === undefined ? null : new Date(timestamp * 1000),
    receivedAt: now,
    headers: storableHeaders(request.headers, source.verifier.scheme.signatureHeaders),
    contentType: typeof type === 'string' ? type : null,
    body: request.body,
  }
}
