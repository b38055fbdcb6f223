import { runWithContext } from '../../../kernel/context.ts'
import type { Jobs } from '../../jobs/index.ts'
import type { Lease, LoggedEvent, Queryable } from '../driver.ts'
import { eventsErrors } from '../errors.ts'
import type { JobSubscription, SinkSubscription, Subscription } from '../subscription.ts'
import { BatchLane } from './batch-lane.ts'
import type { Deliver, Left } from './batch-lane.ts'
import { EventContext } from './context.ts'
import { DeliveryAborted, deliveryOf } from './delivery.ts'
import type { Lane, LaneParts } from './delivery.ts'
import { HandlerLane } from './handler-lane.ts'

/** What handles a subscription of this kind. */
export function createLane(parts: LaneParts, lease: Lease, subscription: Subscription, jobs: Jobs | undefined): Lane {
  if ('handler' in subscription) return new HandlerLane(parts, lease, subscription)
  const deliver =
    'sink' in subscription
      ? toSink(parts, lease, subscription)
      : inTransaction(parts, lease, 'job' in subscription ? addJobs(subscription, jobs) : subscription.transaction)
  return new BatchLane(parts, lease, subscription, deliver)
}

type Work = (events: readonly LoggedEvent<never>[], tx: Queryable) => Promise<void>

function inTransaction({ driver }: LaneParts, lease: Lease, work: Work): Deliver {
  return async (events, cursor) => {
    try {
      const held = await driver.commit(lease, cursor, (tx) => work(events as readonly LoggedEvent<never>[], tx))
      return held ? 'none' : 'lost'
    } catch (error) {
      return { events, error }
    }
  }
}

/** Each in the name of who emitted its event. */
function addJobs(subscription: JobSubscription, jobs: Jobs | undefined): Work {
  if (jobs === undefined) {
    const reason = 'jobs are added to a queue, and the dispatcher was given none'
    throw eventsErrors.error('events.definition_invalid', { meta: { name: subscription.name, reason } })
  }
  const { job, payload, options } = subscription
  return async (events, tx) => {
    for (const event of events) {
      const value = payload(event)
      if (value === undefined) continue
      const context = new EventContext(event, undefined, subscription)
      const inTx = jobs.driver.capabilities.transactions ? tx : undefined
      await runWithContext(context, () => jobs.enqueue(job, value as never, options?.(event), inTx))
    }
  }
}

function toSink({ driver, clock }: LaneParts, lease: Lease, subscription: SinkSubscription): Deliver {
  const { sink } = subscription
  const { timeoutMs } = deliveryOf(subscription, 0)
  return async (events, cursor, signal): Promise<Left> => {
    const late = new AbortController()
    const timer = clock.after(timeoutMs, () => late.abort(new DeliveryAborted('timeout')))
    const either = AbortSignal.any([signal, late.signal])
    try {
      await Promise.race([sink.publish(events, either), aborted(either)])
    } catch (error) {
      const ids = unconfirmedOf(error)
      const left = ids === undefined ? events : events.filter(({ id }) => ids.has(id))
      return { events: left.length === 0 ? events : left, error }
    } finally {
      timer.cancel()
    }
    const { held } = await driver.settle(lease, { cursor, park: [], retried: [] })
    return held ? 'none' : 'lost'
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const stop = (): void => reject(signal.reason as Error)
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop, { once: true })
  })
}

function unconfirmedOf(error: unknown): ReadonlySet<string> | undefined {
  const { unconfirmed } = (error ?? {}) as { readonly unconfirmed?: unknown }
  return Array.isArray(unconfirmed) ? new Set(unconfirmed as string[]) : undefined
}
