import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import type { Metrics } from '../../kernel/metrics.ts'
import { port } from '../../kernel/plugin.ts'
import type { Port } from '../../kernel/plugin.ts'
import type { Algorithm, Decision, RateRule, SlotRule } from './driver.ts'

/**
 * What a limit does while its store does not answer: let everything through, refuse everything, or count in this
 * process alone, against its share of the limit.
 */
export type LossPolicy = 'open' | 'closed' | 'local'

export interface LimitSpec {
  /** `[a-z][a-z0-9_.-]*`, at most 64 characters: names the limit in keys, metrics and headers. */
  readonly name: string
  /** Cost that may be spent per window: 1 to 1,000,000,000. */
  readonly limit: number
  /** `'10s'` or milliseconds; 1 ms to 366 days. */
  readonly window: string | number
  /** Default `gcra`. */
  readonly algorithm?: Algorithm
  /** Cost that may be spent at once, 1 to `limit`; default `limit`. Only with `gcra`. */
  readonly burst?: number
  /** Default `local`. */
  readonly whenLost?: LossPolicy
}

export interface ConcurrencySpec {
  readonly name: string
  /** Places: 1 to 100,000. */
  readonly limit: number
  /** How long the place of a crashed holder stays taken; default `'30s'`, at least 1 s. Held places are renewed by themselves. */
  readonly lease?: string | number
  /** Default `local`. */
  readonly whenLost?: LossPolicy
}

export interface TakeOptions {
  /** What the call costs: an integer from 1 to the burst. Default 1. */
  readonly cost?: number
}

/** One limit. Keys say whose calls are counted (`'ip:192.0.2.1'`); long ones are hashed. */
export interface Limit {
  readonly rule: RateRule
  readonly whenLost: LossPolicy
  /**
   * Spends `cost` if all of it may be spent. No promise where the driver answers at once; never rejects for the store's
   * sake, since `whenLost` decides then.
   * @throws `ratelimit.cost_invalid`.
   */
  take(key: string, options?: TakeOptions): Decision | Promise<Decision>
  /** What may be spent now, spending nothing: `allowed` speaks of a cost of 1. */
  peek(key: string): Decision | Promise<Decision>
  /** Forgets what `key` has spent. @throws `ratelimit.unavailable`, as a rejection where the driver is asynchronous. */
  reset(key: string): void | Promise<void>
}

/** The answer to `acquire`; a place when it is `allowed`. */
export interface Slot extends Decision {
  /** Frees the place; once is enough, and on a refusal it does nothing. Never throws or rejects. */
  release(): void
}

/** A limit of calls at the same time. */
export interface ConcurrencyLimit {
  readonly rule: SlotRule
  readonly whenLost: LossPolicy
  /** Takes a place until `release`. The place of a process that died is free after the lease. */
  acquire(key: string): Slot | Promise<Slot>
}

export interface RatelimitSettings {
  readonly clock?: Clock
  readonly log?: Log
  /** Counts decisions: `forge_ratelimit_decisions_total{limit,result}`, `forge_ratelimit_lost_total{limit,policy}`. */
  readonly metrics?: Metrics
  /** Milliseconds after which the store counts as lost for a call; default 40. */
  readonly deadlineMs?: number
  /** How long a store that failed is left alone before one call tries it again; default 500. */
  readonly retryMs?: number
  /** Processes that share the limits: a `local` decision has that part of them. Default 1. */
  readonly replicas?: number
  /** Keys held in memory for `local`; default 100,000. */
  readonly localKeys?: number
}

/** Limits over one store of counts. */
export interface Ratelimit {
  /** Declares a limit. The same name again must mean the same. @throws `ratelimit.misdeclared`. */
  limit(spec: LimitSpec): Limit
  concurrency(spec: ConcurrencySpec): ConcurrencyLimit
  /** Whether the store is left alone at the moment, since it failed. */
  readonly lost: boolean
  start(): Promise<void>
  /** Gives back what is held ahead, frees all places, closes the driver. */
  close(): Promise<void>
}

/** `tsforge/ratelimit`. */
export const ratelimitPort: Port<Ratelimit> = port<Ratelimit>('ratelimit', () =>
  import('./plugin.ts').then((module) => module.ratelimit()),
)
