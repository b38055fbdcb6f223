import type { Clock } from '../../kernel/clock.ts'
import { createContext, currentContext, runWithContext } from '../../kernel/context.ts'
import type { Log } from '../../kernel/log.ts'
import type { Db } from '../../primitives/db/index.ts'
import { defineJob, Discard, handle, JobAborted, Snooze } from '../../primitives/jobs/index.ts'
import type { Job, JobCall, JobHandler } from '../../primitives/jobs/index.ts'
import { claimEffect, noteFailure, selectDelivery, settleHandled } from './delivery-repository.ts'
import { webhookDead } from './events.ts'
import type { WebhooksInMeters } from './meters.ts'
import type { WebhookCall, WebhookDelivery, WebhookSource } from './source.ts'
import type { DeliveryContent } from './webhooks-in.ts'

/** What the job carries: the content stays in its row. */
export interface HandlePayload {
  readonly id: string
}

/** One kind for each source, so that each has its own attempts, and shows by itself in metrics and lists. */
export function jobOf({ name, maxAttempts, backoff, timeoutMs }: WebhookSource): Job<HandlePayload> {
  return defineJob<HandlePayload>({
    kind: `webhooks_in.${name}`,
    ...(maxAttempts !== undefined && { maxAttempts }),
    ...(backoff !== undefined && { backoff }),
    ...(timeoutMs !== undefined && { timeoutMs }),
  })
}

interface Parts {
  readonly db: Db
  readonly clock: Clock
  readonly log: Log
  readonly meters: WebhooksInMeters
}

export function handlerOf(source: WebhookSource, job: Job<HandlePayload>, parts: Parts): JobHandler {
  return handle(job, (call) => run(source, call, parts))
}

async function run(source: WebhookSource, call: JobCall<HandlePayload>, parts: Parts): Promise<void> {
  const { db, clock, meters } = parts
  const { id } = call.payload
  const found = await selectDelivery(db, id)
  if (found === undefined || found.body === null) throw new Discard('the delivery is gone')
  if (found.state === 'handled') return
  const delivery = { ...found, body: found.body }
  try {
    // Nobody is signed in: the app acts, in the tenant of the address.
    const context = createContext({
      requestId: String(call.job.id),
      tenantId: found.tenantId,
      trace: currentContext()?.trace,
      signal: call.signal,
    })
    await runWithContext(context, () => source.handler(shown(delivery), callOf(call, delivery, parts)))
    await settleHandled(db, id, new Date(clock.now()))
  } catch (error) {
    await note(error, call, delivery, parts)
    throw error
  }
  meters.handled(source.name, 'handled')
}

function shown({
  id,
  source,
  tenantId,
  deliveryId,
  event,
  signedAt,
  receivedAt,
  headers,
  contentType,
  body,
}: DeliveryContent): WebhookDelivery {
  return {
    id,
    source,
    tenantId,
    deliveryId,
    event,
    signedAt,
    receivedAt,
    headers,
    contentType,
    body,
    json: <T>() => JSON.parse(body.toString('utf8')) as T,
  }
}

function callOf(
  { attempt, signal, log }: JobCall<HandlePayload>,
  { id }: DeliveryContent,
  { db, clock }: Parts,
): WebhookCall {
  return {
    attempt,
    signal,
    log,
    once: (work) =>
      db.tx(async (tx) => ((await claimEffect(tx, id, new Date(clock.now()))) ? await work(tx) : undefined)),
  }
}

/** Writes down what the lists show; the job itself knows what comes next. */
async function note(
  error: unknown,
  call: JobCall<HandlePayload>,
  delivery: DeliveryContent,
  parts: Parts,
): Promise<void> {
  const { signal, attempt, job } = call
  const aborted = signal.reason instanceof JobAborted ? signal.reason.reason : undefined
  // It runs again as if it had not begun, here or elsewhere.
  if (error instanceof Snooze || (aborted !== undefined && aborted !== 'timeout')) return
  const dead = error instanceof Discard || attempt >= job.maxAttempts
  parts.meters.handled(delivery.source, dead ? 'dead' : 'failed')
  const name = (error instanceof Error ? error.name : typeof error).slice(0, 100)
  try {
    await noteFailure(parts.db, delivery.id, { error: name, dead, at: new Date(parts.clock.now()) })
    if (dead) tellDead(delivery)
  } catch (err) {
    // The sweep finds out.
    parts.log.warn({ err, delivery: delivery.id }, 'the failure of a webhook could not be noted')
  }
}

export function tellDead({
  id,
  source,
  tenantId,
  deliveryId,
  event,
}: Omit<DeliveryContent, 'body' | 'headers' | 'contentType'>): void {
  if (webhookDead.hasSubscribers) webhookDead.publish({ id, source, tenantId, deliveryId, event })
}
