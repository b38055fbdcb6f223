import { createHash } from 'node:crypto'
import type { Clock } from '../../kernel/clock.ts'
import { isUuid, uuidv7 } from '../../kernel/ids.ts'
import type { Log } from '../../kernel/log.ts'
import type { Egress } from '../../primitives/egress/index.ts'
import type { NewDelivery } from './delivery-repository.ts'
import { webhooksInErrors } from './errors.ts'
import { webhookRefused } from './events.ts'
import { storableHeaders } from './headers.ts'
import { parseJson } from './json.ts'
import type { WebhooksInMeters } from './meters.ts'
import { decoy, keysFor } from './secrets.ts'
import type { WebhookSource } from './source.ts'
import type { Description, VerifiedRequest, WebhookRefusal, WebhookVerdict } from './verifier.ts'
import type { IncomingWebhook } from './webhooks-in.ts'

export interface Verified {
  readonly tenantId: string | null
  readonly request: VerifiedRequest
  /** Seconds since 1970. */
  readonly timestamp: number | undefined
}

interface Parts {
  readonly egress: Pick<Egress, 'fetch'>
  readonly clock: Clock
  readonly log: Log
  readonly meters: WebhooksInMeters
}

/** Throws the one of four refusals that tells no secret: what a stranger could find out without a key anyway. */
export async function verify(source: WebhookSource, incoming: IncomingWebhook, parts: Parts): Promise<Verified> {
  const { headers, body, tenant, ip } = incoming
  // One that cannot be a tenant is an unknown one, at the same price.
  const known = tenant === undefined || isUuid(tenant)
  const tenantId = tenant === undefined || !known ? null : tenant.toLowerCase()
  const keys = known ? await keysFor(source, { tenantId, headers }, parts.log) : []
  const { scheme } = source.verifier
  const nowMs = parts.clock.now()
  const request = { headers, body, nowMs, ...(source.toleranceMs !== undefined && { toleranceMs: source.toleranceMs }) }
  const verdict = await scheme.verify(keys.length === 0 ? decoy : keys, request, parts)
  if (!verdict.ok || keys.length === 0) {
    const reason = reasonOf(verdict)
    const told = keys.length === 0 && reason === 'mismatch' ? 'no_secret' : reason
    parts.meters.count(source.name, told)
    if (webhookRefused.hasSubscribers) webhookRefused.publish({ source: source.name, tenantId, reason: told, ip })
    const { challenge } = scheme
    const asks = challenge === undefined ? {} : { headers: { 'www-authenticate': challenge } }
    throw webhooksInErrors.error(`webhooks_in.${answers[reason]}`, asks)
  }
  return {
    tenantId,
    timestamp: verdict.timestamp,
    request: { headers, body, json: parseJson(body), signedId: verdict.id },
  }
}

const answers = {
  missing: 'signature_missing',
  too_old: 'timestamp_invalid',
  too_new: 'timestamp_invalid',
  malformed: 'signature_invalid',
  mismatch: 'signature_invalid',
  raw: 'raw_delivery',
} as const satisfies Record<WebhookRefusal, string>

function reasonOf(verdict: WebhookVerdict): WebhookRefusal {
  return verdict.ok ? 'mismatch' : verdict.reason
}

const confirmMs = 8000
const confirmBytes = 64 * 1024

/** Lets the sender send. Rejects with `webhooks_in.unavailable` when it does not hear us, so that it asks again. */
export async function confirm(
  { name }: WebhookSource,
  url: string,
  { tenantId }: Verified,
  { egress, log, meters }: Parts,
): Promise<void> {
  const about = { source: name, tenant_id: tenantId }
  try {
    const { status } = await egress.fetch(url, { timeoutMs: confirmMs, responseBytes: confirmBytes })
    if (status < 200 || status > 299) throw new Error(`the sender answers ${status}`)
  } catch (cause) {
    log.warn({ err: cause, ...about }, 'a subscription of webhooks could not be confirmed')
    throw webhooksInErrors.error('webhooks_in.unavailable', { cause, retryAfterMs: 5000 })
  }
  meters.count(name, 'confirmed')
  log.info(about, 'a subscription of webhooks was confirmed')
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
