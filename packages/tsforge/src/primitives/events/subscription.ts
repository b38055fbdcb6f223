import type { EnqueueOptions, Job } from '../jobs/index.ts'
import type { Log } from '../../kernel/log.ts'
import type { Queryable, Tx } from '../db/index.ts'
import type { EventType } from './event.ts'
import type { LoggedEvent } from './outbox.ts'

/** What a handler gets beside its event. */
export interface EventCall {
  /** From 1. */
  readonly attempt: number
  /** Aborts when the time is up, the lease is lost, or the process ends. */
  readonly signal: AbortSignal
  readonly log: Log
  /**
   * Runs `work` in a transaction at most once per subscription and event over all deliveries (an inbox row commits with
   * it): effects in the same database happen exactly once. `undefined` when it had been done before.
   */
  once<T>(work: (tx: Tx) => Promise<T>): Promise<T | undefined>
}

interface To {
  /** Stable for ever: what is done is kept under it. */
  readonly name: string
  /** Kinds of events, or texts with `*` for one part and `**` for the rest: `order.*`. `'**'`: all. */
  readonly to: readonly (EventType<never> | string)[] | EventType<never> | string
  /** Where a subscription begins that was never there before. Default `now`. */
  readonly from?: 'now' | 'start'
}

export interface DeliveryOptions {
  /** Keys that are handled at the same time in a process. Default 16. */
  readonly concurrency?: number
  /** Then the event is a dead letter and the next of its key goes on. Default 20. */
  readonly maxAttempts?: number
  /** Full jitter in [0, min(cap, base * 2^(attempt - 1))]. Default 1 s, 1 h. */
  readonly backoff?: { readonly baseMs?: number; readonly capMs?: number }
  /** Of one run. Default 30 s. */
  readonly timeoutMs?: number
}

export interface HandlerSubscription extends To, DeliveryOptions {
  /** Acknowledges by returning. What it throws is retried, events of the same key wait behind it, others go on. */
  readonly handler: (event: LoggedEvent<never>, call: EventCall) => unknown
}

/** Each event adds one job, exactly once, in the transaction that takes note of it. Fails and waits as a transaction does. */
export interface JobSubscription extends To, Pick<DeliveryOptions, 'maxAttempts' | 'backoff'> {
  readonly job: Job<never>
  /** `undefined`: no job for this event. */
  readonly payload: (event: LoggedEvent<never>) => unknown
  readonly options?: (event: LoggedEvent<never>) => EnqueueOptions
}

/**
 * What a transaction does with a batch of events, in the order of the log; it and the position of the subscription commit
 * together. A batch that fails is tried again, smaller each time, and everything waits behind it; one event that fails
 * `maxAttempts` times alone is a dead letter.
 */
export interface TransactionSubscription extends To, Pick<DeliveryOptions, 'maxAttempts' | 'backoff'> {
  readonly transaction: (events: readonly LoggedEvent<never>[], tx: Queryable) => Promise<void>
}

/** Where events go that leave the app. One batch at a time, in order; acknowledged only when the other side has confirmed. */
export interface Sink {
  readonly name: string
  /**
   * Resolves when the other side has confirmed all of them. Rejects when none, some or all are not confirmed: the batch is
   * sent again, so the other side may see an event twice, with the same `id`. `unconfirmed` of the error, where known,
   * are the ids to send again; the others count as confirmed. `refused`, where known, are those among them that the other side
   * does not take: they have their attempts and are dead then, while an outage lasts as long as it lasts.
   */
  publish(events: readonly LoggedEvent[], signal: AbortSignal): Promise<void>
  close(): Promise<void>
}

export interface SinkSubscription extends To, DeliveryOptions {
  readonly sink: Sink
}

export type Subscription = HandlerSubscription | JobSubscription | TransactionSubscription | SinkSubscription
