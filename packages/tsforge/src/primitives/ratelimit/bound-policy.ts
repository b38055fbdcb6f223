import type { Log } from '../../kernel/log.ts'
import type { Counter } from '../../kernel/metrics.ts'
import { placesPolicy, ratePolicy } from './headers.ts'
import { keyOf } from './keys.ts'
import type { CountedCall, KeyOf } from './keys.ts'
import type { LimitPlans, PlacesPolicySpec, PlanNumbers, PlanOf, Policy, RatePolicySpec } from './policies.ts'
import type { ConcurrencyLimit, Limit, Ratelimit } from './ratelimit.ts'
import { underPlan } from './route-policies.ts'
import { misdeclared } from './rules.ts'

/** A limit with the item that tells it. */
export interface Told {
  readonly limit: Limit
  readonly item: string
}

export interface BoundRate {
  readonly kind: 'rate'
  readonly name: string
  readonly keyOf: KeyOf
  readonly cost: RatePolicySpec['cost']
  readonly own: Told
  /** Whose numbers count for this call; absent when they are the same for all. */
  readonly planned: ((call: CountedCall) => Told | Promise<Told>) | undefined
}

export interface BoundPlaces {
  readonly kind: 'places'
  readonly name: string
  readonly keyOf: KeyOf
  readonly limit: ConcurrencyLimit
  readonly item: string
}

/** A policy on the limiter that counts for it. */
export type BoundPolicy = BoundRate | BoundPlaces

export interface BindSettings {
  readonly limiter: Ratelimit
  readonly plans: LimitPlans | undefined
  readonly ipv6Prefix: number
  readonly log: Log
  readonly planFaults: Counter
}

/** More than any price list has: what goes beyond is no plan but a number that callers can choose. */
const maxPlans = 1000

export function bind(policy: Policy, settings: BindSettings): BoundPolicy {
  const { name, key, spec } = policy
  const counted = typeof key === 'function' ? key : keyOf(key, settings.ipv6Prefix)
  if ('concurrent' in spec) return bindPlaces(spec, counted, settings.limiter)
  const own = told(name, spec, settings.limiter)
  return {
    kind: 'rate',
    name,
    keyOf: counted,
    cost: spec.cost,
    own,
    planned: spec.perPlan === undefined ? undefined : byPlan(spec, own, resolverOf(spec, settings.plans), settings),
  }
}

function bindPlaces(spec: PlacesPolicySpec, counted: KeyOf, limiter: Ratelimit): BoundPlaces {
  const { name, concurrent, lease, whenLost } = spec
  const limit = limiter.concurrency({
    name,
    limit: concurrent,
    ...(lease !== undefined && { lease }),
    ...(whenLost !== undefined && { whenLost }),
  })
  return { kind: 'places', name, keyOf: counted, limit, item: placesPolicy(name, concurrent) }
}

function told(name: string, spec: RatePolicySpec, limiter: Ratelimit): Told {
  const { limit: most, window, algorithm, burst, whenLost } = spec
  const limit = limiter.limit({
    name: spec.name,
    limit: most,
    window,
    ...(algorithm !== undefined && { algorithm }),
    ...(burst !== undefined && { burst }),
    ...(whenLost !== undefined && { whenLost }),
  })
  return { limit, item: ratePolicy(name, most, limit.rule.windowMs) }
}

function resolverOf({ name, perPlan }: RatePolicySpec, plans: LimitPlans | undefined): PlanOf {
  if (typeof perPlan === 'function') return perPlan
  if (plans === undefined) throw misdeclared(name, 'perPlan asks for plans, and ratelimit({ plans }) names no port')
  return (call) => plans.numbersOf(name, call)
}

/** Plans must not take the API down: where they cannot be asked, the policy's own numbers count. */
function byPlan(
  spec: RatePolicySpec,
  own: Told,
  planOf: PlanOf,
  { limiter, log, planFaults }: BindSettings,
): (call: CountedCall) => Told | Promise<Told> {
  const made = new Map<string, Told>()
  const known = new WeakMap<PlanNumbers, Told>()
  const failed = (error: unknown): Told => {
    planFaults.add(1, { limit: spec.name })
    log.warn({ err: error, limit: spec.name }, 'the plan of a caller is not known, the numbers without a plan count')
    return own
  }
  const of = (numbers: PlanNumbers | undefined): Told => {
    if (numbers === undefined) return own
    let found = known.get(numbers)
    if (found !== undefined) return found
    const planned = underPlan(spec, numbers)
    found = made.get(planned.name)
    if (found === undefined) {
      if (made.size >= maxPlans) throw misdeclared(spec.name, `it has more than ${maxPlans} plans`)
      made.set(planned.name, (found = told(spec.name, planned, limiter)))
    }
    known.set(numbers, found)
    return found
  }
  return (call) => {
    try {
      const numbers = planOf(call)
      return numbers instanceof Promise ? numbers.then(of).catch(failed) : of(numbers)
    } catch (error) {
      return failed(error)
    }
  }
}
