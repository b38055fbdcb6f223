import type { Algorithm } from './driver.ts'
import type { CountedCall, KeyKind, KeyOf } from './keys.ts'
import type { LossPolicy } from './ratelimit.ts'
import { misdeclared, rateRule, slotRule } from './rules.ts'

/** The numbers of a limit under one plan. */
export interface PlanNumbers {
  readonly limit: number
  readonly window: string | number
  readonly burst?: number
}

/** The numbers for who calls; `undefined` for those of the policy itself. Asked on every call: keep the answer at hand. */
export type PlanOf = (call: CountedCall) => PlanNumbers | undefined | Promise<PlanNumbers | undefined>

/** Resolves plans for all policies that are `perPlan: true`; what the port given to `ratelimit({ plans })` provides. */
export interface LimitPlans {
  numbersOf(policy: string, call: CountedCall): PlanNumbers | undefined | Promise<PlanNumbers | undefined>
}

interface Counting {
  /** `[a-z][a-z0-9_.-]*`, at most 64 characters: what `rate` of a route, headers, keys and metrics call it. */
  readonly name: string
  /** Default `ip`. */
  readonly key?: KeyKind | KeyOf
  /**
   * When it is asked, for a key function: `arrival`, before anybody has been authenticated, or `admitted` (default).
   * The kinds know it by themselves: `ip` at arrival, the others once the caller is known.
   */
  readonly phase?: 'arrival' | 'admitted'
  /** While the store of counts does not answer; default `local`. */
  readonly whenLost?: LossPolicy
}

/** So many calls in a window. */
export interface RatePolicySpec extends Counting {
  readonly limit: number
  /** `'1m'` or milliseconds. */
  readonly window: string | number
  /** Default `gcra`. */
  readonly algorithm?: Algorithm
  /** What may be spent at once; default `limit`. Only with `gcra`. */
  readonly burst?: number
  /** What a call costs. Default: the `cost` of the route, which is 1 by default. */
  readonly cost?: number | ((call: CountedCall) => number)
  /** Other numbers by plan: a function, or `true` for the port given to `ratelimit({ plans })`. */
  readonly perPlan?: true | PlanOf
}

/** So many calls at the same time. */
export interface PlacesPolicySpec extends Counting {
  readonly concurrent: number
  /** How long the place of a crashed process stays taken; default `'30s'`. */
  readonly lease?: string | number
}

export type PolicySpec = RatePolicySpec | PlacesPolicySpec

/** A limit of calls, declared; made by `defineLimit`. */
export interface Policy {
  readonly name: string
  readonly phase: 'arrival' | 'admitted'
  readonly key: KeyKind | KeyOf
  readonly spec: PolicySpec
}

/**
 * Declares a limit for routes: `defineLimit({ name: 'export', limit: 5, window: '1h', key: 'user' })`, mounted by
 * `ratelimit({ limits: [...] })` and put on a route by `rate: 'export'`.
 *
 * @throws `ratelimit.misdeclared`.
 */
export function defineLimit(spec: PolicySpec): Policy {
  const { name, key = 'ip' } = spec
  if ('concurrent' in spec) slotRule({ ...spec, limit: spec.concurrent })
  else {
    rateRule(spec)
    const { cost } = spec
    const most = spec.burst ?? spec.limit
    if (typeof cost === 'number' && !(Number.isInteger(cost) && cost >= 1 && cost <= most))
      throw misdeclared(name, `cost must be a whole number from 1 to ${most}`)
  }
  if (typeof key !== 'function' && !kinds.has(key))
    throw misdeclared(name, `key must be ${[...kinds].join(', ')} or a function`)
  if (typeof key !== 'function' && spec.phase !== undefined)
    throw misdeclared(name, 'phase is a word for key functions; the kinds know theirs')
  const phase = key === 'ip' ? 'arrival' : typeof key === 'function' ? (spec.phase ?? 'admitted') : 'admitted'
  return Object.freeze({ name, phase, key, spec })
}

const kinds: ReadonlySet<unknown> = new Set<KeyKind>(['ip', 'user', 'api_key', 'tenant'])
