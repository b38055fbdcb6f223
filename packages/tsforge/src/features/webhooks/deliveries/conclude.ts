import { tell } from '../../../primitives/db/index.ts'
import type { Queryable } from '../../../primitives/db/index.ts'
import type { Events } from '../../../primitives/events/index.ts'
import { disableEndpoint } from '../endpoints/repository.ts'
import { endpointDisabled, webhookEndpointDisabled } from '../events.ts'
import type { WebhooksMeters } from '../meters.ts'
import type { WebhooksOptions } from '../options.ts'
import { restAfter } from './admission.ts'
import type { Outcome } from './delivery.ts'
import { urlOf } from './redact.ts'
import * as repository from './repository.ts'
import type { Called, Flow, Work } from './repository.ts'
import { waitAfter } from './schedule.ts'

/** The first rest, and the longest: it doubles while nothing but failures come. */
const restMs = 30_000
const longestRestMs = 10 * 60_000
/** Statuses that ask for peace rather than tell of a fault of the message. */
const throttling = new Set([429, 502, 503, 504])

export interface ConcludeParts {
  readonly events: Events
  readonly meters: WebhooksMeters
  readonly options: Pick<WebhooksOptions, 'scheduleMs' | 'concurrency' | 'disableAfterMs'>
  readonly now: number
}

export interface Ended {
  readonly state: 'pending' | 'succeeded' | 'failed' | 'cancelled'
  readonly delayMs?: number
  /** They have a place now. */
  readonly called: readonly Called[]
}

/** Writes down how an attempt went and what follows from it, for the delivery and for its endpoint. */
export async function conclude(
  tx: Queryable,
  { id, failures }: Pick<Work, 'id' | 'failures'>,
  { attempt, retryAfterMs }: Outcome,
  { events, meters, options, now }: ConcludeParts,
): Promise<Ended> {
  const at = new Date(now)
  // Again: meanwhile the endpoint may have been disabled, or this attempt taken for lost.
  const work = await repository.lockWork(tx, id)
  if (work === undefined) return { state: 'cancelled', called: [] }
  await repository.insertAttempt(tx, work, attempt)
  const { ok, status, error } = attempt
  const failingSince = ok ? null : (work.failingSince ?? attempt.startedAt)
  const probed = failures >= restAfter
  const flow = { failingSince, ...rested(work, outage(status), probed, retryAfterMs, now) }
  await repository.saveFlow(tx, work, flow)
  if (work.state !== 'pending' || work.attempts !== attempt.number) return { state: 'pending', called: [] }

  const last = { status, error }
  const reason =
    status === 410 ? 'gone' : now - (failingSince?.getTime() ?? now) >= options.disableAfterMs ? 'failing' : undefined
  if (!ok && reason !== undefined && (await disableEndpoint(tx, work.endpointId, reason, at))) {
    const { endpointId, tenantId, url } = work
    await events.emit(tx, webhookEndpointDisabled, { endpoint_id: endpointId, url: urlOf(url), reason }, { tenantId })
    meters.disabled.add(1, { reason })
    meters.settled.add(await repository.cancelPending(tx, endpointId, at), { state: 'cancelled' })
    tell(tx, endpointDisabled, { endpointId, tenantId, reason })
  }
  const places = work.ordered ? 1 : (work.concurrency ?? options.concurrency)
  // After a rest all places are free again.
  const call = (): Promise<readonly Called[]> =>
    repository.callWaiting(tx, work.endpointId, ok && work.failures >= restAfter ? places : 1)
  if (ok) {
    await repository.settle(tx, id, 'succeeded', at, last)
    return { state: 'succeeded', called: await call() }
  }
  const delayMs = waitAfter(options.scheduleMs, work.tries, throttling.has(status ?? 0) ? retryAfterMs : undefined)
  const state = reason !== undefined || delayMs === undefined ? 'failed' : work.open ? 'pending' : 'cancelled'
  if (state === 'pending') await repository.postpone(tx, id, new Date(now + delayMs!), last)
  else await repository.settle(tx, id, state, at, last)
  // An ordered endpoint waits behind this one, and nobody is called while it rests.
  const resting = (flow.restsUntil?.getTime() ?? 0) > now && reason === undefined
  const called = resting || (state === 'pending' && work.ordered) ? [] : await call()
  return state === 'pending' ? { state, delayMs: delayMs!, called } : { state, called }
}

/** Whether the endpoint, not the message, is what failed: nobody there, overloaded, broken. */
function outage(status: number | null): boolean {
  return status === null || status >= 500 || status === 429
}

/** What an attempt says of its endpoint's health. `probed`: it was the one that tried after a rest. */
function rested(
  { failures, restsUntil }: Work,
  failed: boolean,
  probed: boolean,
  retryAfterMs: number | undefined,
  now: number,
): Pick<Flow, 'failures' | 'restsUntil'> {
  if (!failed) return { failures: 0, restsUntil: null }
  // Those that began before it went to rest say nothing new.
  if (failures >= restAfter && !probed) return { failures, restsUntil }
  const count = failures + 1
  const rest = count < restAfter ? 0 : Math.min(restMs * 2 ** Math.min(count - restAfter, 10), longestRestMs)
  const until = now + Math.max(rest, Math.min(retryAfterMs ?? 0, longestRestMs))
  return { failures: count, restsUntil: until > now ? new Date(until) : restsUntil }
}
