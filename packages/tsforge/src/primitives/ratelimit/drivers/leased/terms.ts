import type { RateRule } from '../../driver.ts'

/** On what terms tokens of a limit are leased. */
export interface Terms {
  /** The limit as the store counts it. */
  readonly rule: RateRule
  /** Tokens are used within this time of the lease, or not at all. */
  readonly lifeMs: number
  /** Most tokens of one lease. */
  readonly cap: number
}

const mostTokens = 50
const longestLifeMs = 1000
/** A lease must outlive some round trips to be of use. */
const shortestLifeMs = 10

/**
 * Tokens that are used later than they were taken could exceed the limit: the store has refilled meanwhile. Of a limit of
 * R per millisecond no more than R times `lifeMs` can be refilled while leases are held, so the store counts with a burst
 * that is smaller by that (a fiftieth of the limit, as a rule): whatever processes do, the uses in any span of time stay
 * within what the limit allows. `undefined` where leases are not worth it: each call is one of the store then.
 */
export function termsOf(rule: RateRule): Terms | undefined {
  const cap = Math.min(mostTokens, Math.floor(rule.burst / 20))
  const lifeMs = Math.min(longestLifeMs, Math.max(shortestLifeMs, rule.windowMs / 50))
  const reserve = Math.ceil((lifeMs * 1000) / rule.intervalUs)
  if (rule.algorithm !== 'gcra' || cap < 2 || reserve > rule.burst / 10) return undefined
  const burst = rule.burst - reserve
  return { rule: { ...rule, burst, depthUs: burst * rule.intervalUs }, lifeMs, cap }
}
