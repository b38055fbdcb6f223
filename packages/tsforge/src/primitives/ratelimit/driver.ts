/** How calls are counted. `gcra` spaces them evenly after a burst; `sliding` weighs the window before against this one. */
export type Algorithm = 'gcra' | 'sliding'

/** A limit as drivers see it: checked, complete, made once. */
export interface RateRule {
  /** Part of every key in the store: two rules of one name share their counts. */
  readonly name: string
  readonly algorithm: Algorithm
  /** Cost that may be spent per window. */
  readonly limit: number
  readonly windowMs: number
  /** Cost that may be spent at once: `limit`, or less with `gcra`. */
  readonly burst: number
  /** `gcra`: microseconds that one unit of cost stands for, rounded up to a quarter, so that sums are exact. */
  readonly intervalUs: number
  /** `gcra`: `burst * intervalUs`, how far ahead of now a key may be. */
  readonly depthUs: number
}

/** How many may hold a place at the same time. */
export interface SlotRule {
  readonly name: string
  readonly limit: number
  /** A place whose holder has not renewed it for so long is free again. */
  readonly leaseMs: number
}

/** The answer to one call. */
export interface Decision {
  readonly allowed: boolean
  /** What may be spent at once with nothing spent: the burst of a `gcra` limit, else the limit. */
  readonly limit: number
  /** What may be spent now, after this call. */
  readonly remaining: number
  /** Milliseconds until everything may be spent again. */
  readonly resetMs: number
  /** Milliseconds until the same call could succeed; 0 when it was allowed. */
  readonly retryAfterMs: number
  /** The store did not answer, and the limit's policy for that decided. */
  readonly lost: boolean
}

/** Tokens taken ahead of their use. */
export interface Lease {
  /** At most `want`; less than `need` when no more is there. */
  readonly granted: number
  /** What the store has left. */
  readonly remaining: number
  readonly resetMs: number
  /** Until one token is there again; 0 when some are left. */
  readonly retryAfterMs: number
  /** When it was given, by the clock of the store; for `giveBack`. */
  readonly stamp: string
}

export interface RatelimitCapabilities {
  /** Other processes see the same counts. */
  readonly shared: boolean
  /** Answers at once, without a promise, at least most of the time. */
  readonly synchronous: boolean
}

/**
 * What a store of counts promises. Each method decides atomically, whoever else calls; time is that of the store,
 * never that of the caller. A failure is any rejection: policy (deadline, breaker, what happens then) lies in the facade.
 */
export interface RatelimitDriver {
  readonly name: string
  readonly capabilities: RatelimitCapabilities
  /** Spends `cost` (an integer, 1 to `rule.burst`) if all of it may be spent now, else nothing. */
  take(rule: RateRule, key: string, cost: number): Decision | Promise<Decision>
  /** What `take` with a cost of 1 would say, with nothing spent. */
  peek(rule: RateRule, key: string): Decision | Promise<Decision>
  /** Forgets what was spent. */
  reset(rule: RateRule, key: string): void | Promise<void>
  /** Takes a place for `holder` (an id that is unique for ever) or refuses. Asked again by the same holder, it renews. */
  acquire(rule: SlotRule, key: string, holder: string): Decision | Promise<Decision>
  /** Holds places for another `leaseMs`; of each, whether its holder still had it. One that lost it does not get it back. */
  renew(rule: SlotRule, places: readonly Place[]): readonly boolean[] | Promise<readonly boolean[]>
  /** Gives a place back; one that is not held is no error. */
  release(rule: SlotRule, key: string, holder: string): void | Promise<void>
  /** Opens what must be open, starts what must be swept. Idempotent. */
  start?(): void | Promise<void>
  /** Gives back what is held ahead and closes what the driver opened. Later calls fail. */
  close(): void | Promise<void>
}

export interface Place {
  readonly key: string
  readonly holder: string
}

/** A driver that can stand behind leases: it hands out several tokens at once. */
export interface LeasingDriver extends RatelimitDriver {
  /**
   * Takes as many of `need` as are there, and up to `want` while there is plenty: beyond `need` never more than an
   * eighth of what is left above a fifth of the burst. So near the limit nobody holds tokens that others could use.
   * Only for `gcra`.
   */
  lease(rule: RateRule, key: string, need: number, want: number): Lease | Promise<Lease>
  /** Puts back tokens of a lease that is not older than `lifeMs` by the clock of the store; of an older one, nothing. */
  giveBack(rule: RateRule, key: string, tokens: number, stamp: string, lifeMs: number): void | Promise<void>
}
