import type { Clock } from '../../../kernel/clock.ts'
import { ForgeError } from '../../../kernel/errors.ts'
import { uuidv7 } from '../../../kernel/ids.ts'
import type { Db } from '../../../primitives/db/index.ts'
import type { ClientCertificate, Egress, EgressResponse } from '../../../primitives/egress/index.ts'
import type { Events } from '../../../primitives/events/index.ts'
import { RetryAfter, Snooze } from '../../../primitives/jobs/index.ts'
import type { JobCall, Jobs } from '../../../primitives/jobs/index.ts'
import type { Vault } from '../endpoints/secrets.ts'
import { attemptFinished, deliverySettled } from '../events.ts'
import type { WebhooksMeters } from '../meters.ts'
import type { WebhooksOptions } from '../options.ts'
import { admit } from './admission.ts'
import { callAnew } from './again.ts'
import type { Attempt, Outcome } from './delivery.ts'
import type { DeliverPayload } from './job.ts'
import { bodyOf, requestHeadersOf, responseHeadersOf, urlOf } from './redact.ts'
import * as repository from './repository.ts'
import type { Called, Work } from './repository.ts'
import { retryAfter } from './schedule.ts'
import { conclude } from './conclude.ts'

export interface DeliverParts {
  readonly db: Db
  readonly clock: Clock
  readonly egress: Egress
  readonly events: Events
  readonly jobs: Jobs
  readonly vault: Vault
  readonly meters: WebhooksMeters
  readonly options: WebhooksOptions
  readonly certificate: ClientCertificate | undefined
}

/** Bytes of an answer that are read and kept. */
const answerBytes = 16 * 1024
/** Beyond the time limit of an attempt, until its process is taken for dead. */
const marginMs = 30_000

/** Runs `webhooks.deliver`: one attempt, or none when the endpoint has no place for it. */
export function deliverer(parts: DeliverParts): (call: JobCall<DeliverPayload>) => Promise<void> {
  const { db, clock, jobs, meters, options } = parts
  const leaseMs = options.timeoutMs + marginMs

  /** Their own polls find what a call that fails would have told them. */
  const wake = async (called: readonly Called[]): Promise<void> => {
    if (called.length === 0) return
    const heard = new Set(await jobs.driver.retry(called.map(({ jobId }) => jobId)))
    const missed = called.filter(({ jobId }) => !heard.has(jobId))
    if (missed.length > 0) await db.tx((tx) => callAnew(tx, jobs, missed, new Date(clock.now())))
  }

  return async ({ payload, job, signal, log }) => {
    const admission = await db.tx((tx) => admit(tx, payload.delivery, job.id, clock.now(), { options, leaseMs }))
    if (admission.as === 'nothing') return
    if (admission.as === 'wait') {
      meters.waits.add(1, { reason: admission.reason })
      throw new Snooze(admission.delayMs)
    }
    if (admission.as === 'over') {
      const { work, state, called } = admission
      told(meters, work, state)
      return wake(called)
    }
    const { work, number } = admission
    let outcome: Outcome
    try {
      outcome = await attempt(parts, work, number, signal)
    } catch (error) {
      // The process ends or has lost the job: nobody knows how it went, and the next run tries again.
      await repository
        .unlease(db, work.id, number)
        .catch((err: unknown) => log.warn({ err }, 'the place of an aborted webhook attempt stays taken for a while'))
      throw error
    }
    const { attempt: made } = outcome
    const ended = await db.tx((tx) => conclude(tx, work, outcome, { ...parts, now: clock.now() }))
    measured(meters, made)
    if (attemptFinished.hasSubscribers)
      attemptFinished.publish({
        endpointId: work.endpointId,
        tenantId: work.tenantId,
        deliveryId: work.id,
        number,
        ok: made.ok,
        status: made.status,
        error: made.error,
        durationMs: made.durationMs,
      })
    await wake(ended.called).catch((err: unknown) => log.warn({ err }, 'waiting webhooks were not called'))
    if (ended.state !== 'pending') return told(meters, work, ended.state)
    if (ended.delayMs !== undefined)
      throw new RetryAfter(ended.delayMs, made.error ?? `the endpoint answered ${made.status}`)
  }
}

async function attempt(
  { clock, egress, vault, options, certificate }: DeliverParts,
  work: Work,
  number: number,
  signal: AbortSignal,
): Promise<Outcome> {
  const startedAt = clock.now()
  const began = clock.monotonic()
  const own = vault.openHeaders(work.endpointId, work.headers)
  const { headers: signed, plain } = vault.sign({ id: work.endpointId, signature: work.signature }, work.secrets, {
    id: work.eventId,
    timestamp: Math.floor(startedAt / 1000),
    body: work.body,
  })
  const headers = {
    ...own,
    'content-type': `application/${work.format === 'standard' ? 'json' : 'cloudevents+json; charset=utf-8'}`,
    'user-agent': 'tsforge-webhooks',
    'webhook-attempt': String(number),
    ...signed,
  }
  const secret = new Set([...Object.keys(own), 'webhook-signature'])
  let answer: EgressResponse | undefined
  let error: string | null = null
  try {
    answer = await egress.fetch(work.url, {
      method: 'POST',
      headers,
      body: work.body,
      timeoutMs: options.timeoutMs,
      responseBytes: answerBytes,
      overflow: 'clip',
      signal,
      ...(certificate !== undefined && { certificate }),
    })
  } catch (cause) {
    if (signal.aborted || !(cause instanceof ForgeError)) throw cause
    error = cause.code
  }
  const hush = [...plain, ...Object.values(own)]
  return {
    attempt: {
      id: uuidv7(),
      deliveryId: work.id,
      number,
      ok: answer !== undefined && answer.status >= 200 && answer.status < 300,
      status: answer?.status ?? null,
      error,
      url: urlOf(work.url),
      address: answer?.address ?? null,
      durationMs: Math.round(clock.monotonic() - began),
      requestHeaders: requestHeadersOf(headers, secret),
      responseHeaders: answer === undefined ? null : responseHeadersOf(answer.headers, hush),
      responseBody: answer === undefined ? null : bodyOf(answer.body, hush),
      responseClipped: answer?.clipped ?? false,
      startedAt: new Date(startedAt),
    },
    retryAfterMs: retryAfter(answer?.headers['retry-after'], startedAt),
  }
}

function measured({ attempts, duration }: WebhooksMeters, { status, error, durationMs }: Attempt): void {
  attempts.add(1, { result: error ?? `${Math.floor((status ?? 0) / 100)}xx` })
  duration.observe(durationMs / 1000)
}

function told(
  meters: WebhooksMeters,
  { id, endpointId, tenantId }: Work,
  state: 'succeeded' | 'failed' | 'cancelled',
): void {
  meters.settled.add(1, { state })
  if (deliverySettled.hasSubscribers) deliverySettled.publish({ deliveryId: id, endpointId, tenantId, state })
}
