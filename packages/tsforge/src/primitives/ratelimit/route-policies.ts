import { parseDuration } from '../../kernel/durations.ts'
import { defineLimit } from './policies.ts'
import type { PlanNumbers, Policy, RatePolicySpec } from './policies.ts'
import { misdeclared } from './rules.ts'

/** What the routes of the framework's own features name. A policy of the same name in `limits` takes its place. */
export function standardPolicies(): readonly Policy[] {
  return [
    defineLimit({ name: 'register', key: 'ip', limit: 20, window: '10m' }),
    defineLimit({ name: 'login', key: 'ip', limit: 30, window: '1m' }),
    defineLimit({ name: 'refresh', key: 'ip', limit: 60, window: '1m' }),
    // Senders of webhooks come from few addresses, and in bursts.
    defineLimit({ name: 'hooks', key: 'ip', limit: 6000, window: '1m' }),
  ]
}

/** The limits of the whole API, per minute; 0 for none. */
export function apiPolicies(perIp: number, perUser: number): readonly Policy[] {
  return [
    ...(perIp === 0 ? [] : [defineLimit({ name: 'ip', key: 'ip', limit: perIp, window: '1m' })]),
    ...(perUser === 0 ? [] : [defineLimit({ name: 'user', key: 'user', limit: perUser, window: '1m' })]),
  ]
}

/** A route, as far as its limits look at it. */
export interface LimitedRoute {
  readonly access: string
  readonly vital?: boolean
  readonly rate?: string | readonly string[] | false
}

/**
 * The policies of a route: those that it names, and of the whole API those that count by a key by which none of the
 * named ones counts. None for health routes and where `rate` is false.
 *
 * @throws `ratelimit.misdeclared` for names that nobody declared, and keys that the route cannot have.
 */
export function policiesOf(
  route: LimitedRoute,
  known: ReadonlyMap<string, Policy>,
  ofApi: readonly Policy[],
): readonly Policy[] {
  const { rate } = route
  if (rate === false || (route.vital === true && rate === undefined)) return []
  const named = (rate === undefined ? [] : typeof rate === 'string' ? [rate] : rate).map((name) => {
    const policy = known.get(name)
    if (policy === undefined)
      throw misdeclared(name, `no limit has this name; there are ${[...known.keys()].join(', ')}`)
    if (route.access === 'public' && needsActor(policy))
      throw misdeclared(name, 'it counts by who is signed in, and the route is public')
    return policy
  })
  const rated = new Set(named.filter(({ spec }) => !('concurrent' in spec)).map(({ key }) => key))
  const rest = ofApi.filter((policy) => !rated.has(policy.key) && !(route.access === 'public' && needsActor(policy)))
  return [...new Set([...named, ...rest])]
}

function needsActor({ key }: Policy): boolean {
  return key === 'user' || key === 'api_key'
}

/** `spec` with the numbers of a plan, under a name of its own, so that plans do not share their counts. */
export function underPlan(spec: RatePolicySpec, { limit, window, burst }: PlanNumbers): RatePolicySpec {
  const { burst: _, ...rest } = spec
  const name = `${spec.name}.${limit}-${parseDuration(window)}${burst === undefined ? '' : `-${burst}`}`
  return { ...rest, name, limit, window, ...(burst !== undefined && { burst }) }
}
