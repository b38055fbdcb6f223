import type { Clock } from '../../../kernel/clock.ts'
import type { Log } from '../../../kernel/log.ts'
import { backoffMs, Discard, RetryAfter } from '../../jobs/index.ts'
import { dbErrors } from '../../db/index.ts'
import type { EventFault, EventsDriver, Lease } from '../driver.ts'
import type { DeliveryOptions, Subscription } from '../subscription.ts'
import type { Meter } from './meter.ts'

/** What all lanes are made of. */
export interface LaneParts {
  readonly driver: EventsDriver
  readonly clock: Clock
  readonly log: Log
  readonly meter: Meter
  readonly parkedLimit: number
  /** The lease is over. */
  readonly onLost: (lane: Lane) => void
}

/** Handles one subscription while the lease lasts. */
export interface Lane {
  readonly lease: Lease
  readonly running: number
  /** Nothing to do until there is something new or a time comes. */
  readonly idle: boolean
  readonly failing: boolean
  /** There may be more. */
  wake(): void
  /** Takes nothing new and resolves when nothing runs any more. */
  drain(): Promise<void>
  /** Aborts what runs, stores what is done, and resolves. `lost`: nothing can be stored. */
  stop(why: 'shutdown' | 'lost'): Promise<void>
}

export interface Delivery {
  readonly concurrency: number
  readonly maxAttempts: number
  readonly timeoutMs: number
  readonly backoff: { readonly baseMs: number; readonly capMs: number }
}

/** `capMs`: what the backoff of the subscription may grow to by default. */
export function deliveryOf(subscription: Subscription, standardCapMs: number): Delivery {
  const { concurrency = 16, maxAttempts = 20, timeoutMs = 30_000, backoff } = subscription as DeliveryOptions
  const { baseMs = 1000, capMs = standardCapMs } = backoff ?? {}
  return { concurrency, maxAttempts, timeoutMs, backoff: { baseMs, capMs } }
}

/** Why a handler's signal was aborted. */
export class DeliveryAborted extends Error {
  override readonly name = 'DeliveryAborted'
  readonly reason: 'timeout' | 'lease_lost' | 'shutdown'

  constructor(reason: DeliveryAborted['reason']) {
    super(sentences[reason])
    this.reason = reason
  }
}

const sentences: Readonly<Record<DeliveryAborted['reason'], string>> = {
  timeout: 'the time for this event is up',
  lease_lost: 'another process may handle this subscription now',
  shutdown: 'the process has to end',
}

export function faultOf(error: unknown): EventFault {
  if (!(error instanceof Error)) return { name: 'Error', message: clipped(String(error)) }
  return { name: clipped(error.name), message: clipped(error.message) }
}

function clipped(text: string): string {
  return text.length > 2000 ? `${text.slice(0, 2000)}…` : text
}

/** What follows from the failure of the `attempt`th run. */
export function verdict(
  error: unknown,
  attempt: number,
  { maxAttempts, backoff }: Delivery,
): { readonly dead: boolean; readonly delayMs: number } {
  if (error instanceof Discard || attempt >= maxAttempts) return { dead: true, delayMs: 0 }
  if (error instanceof RetryAfter) return { dead: false, delayMs: error.delayMs }
  return { dead: false, delayMs: backoffMs(backoff, attempt) }
}

/** The database is away: no fault of any event. */
export function isOutage(error: unknown): boolean {
  return dbErrors.is(error) && error.status >= 503
}
