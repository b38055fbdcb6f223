import type { Clock } from '../../../kernel/clock.ts'
import type { Log } from '../../../kernel/log.ts'
import type { Metrics } from '../../../kernel/metrics.ts'
import type { Jobs } from '../../jobs/index.ts'
import type { Events } from '../outbox.ts'
import type { Subscription } from '../subscription.ts'

export interface DispatcherOptions {
  /** How long a silent process keeps its subscriptions. Default 10 s. */
  readonly leaseMs?: number
  /** How long `drain` waits for running handlers. Default 10 s. */
  readonly graceMs?: number
  /**
   * Events of one subscription that may wait beside the log; at more it waits itself, since then the fault is not that of a few
   * keys. Default 10,000.
   */
  readonly parkedLimit?: number
}

export interface DispatcherSettings {
  readonly events: Events
  readonly subscriptions: readonly Subscription[]
  /** For `toJob`. */
  readonly jobs?: Jobs
  readonly clock?: Clock
  readonly log?: Log
  readonly metrics?: Metrics
  readonly options?: DispatcherOptions
}

export interface DispatcherStatus {
  readonly state: 'new' | 'running' | 'draining' | 'stopped'
  /** Subscriptions that this process handles. */
  readonly held: readonly string[]
  /** Handlers that run. */
  readonly running: number
  /** The store does not answer. */
  readonly failing: boolean
}

/** Delivers events to the subscriptions of this process, as far as it gets hold of them. */
export interface Dispatcher {
  readonly subscriptions: readonly Subscription[]
  readonly status: DispatcherStatus
  start(): void
  /** Takes nothing new, waits for what runs and hands all leases back; bounded by the grace time and the signal. */
  drain(signal?: AbortSignal): Promise<void>
  /** Ends at once: aborts what runs, hands leases back and closes sinks. */
  stop(): Promise<void>
  /** Delivers what there is, until nothing is left that is due; for tests and scripts, in place of `start`. */
  runUntilIdle(): Promise<void>
}
