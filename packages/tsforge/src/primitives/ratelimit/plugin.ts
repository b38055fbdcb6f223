import { defineFeature } from '../../http/feature.ts'
import type { ExtensionDocs, Feature, Gate, GateSpec } from '../../http/feature.ts'
import type { Route } from '../../http/route.ts'
import type { Health, Port, Toolbox } from '../../kernel/plugin.ts'
import { dbPort } from '../db/index.ts'
import type { Db } from '../db/index.ts'
import { redisPort } from '../redis/index.ts'
import type { Redis } from '../redis/index.ts'
import { bind } from './bound-policy.ts'
import type { BindSettings, BoundPolicy } from './bound-policy.ts'
import { consult } from './consult.ts'
import { createRatelimit } from './create-ratelimit.ts'
import type { RatelimitDriver } from './driver.ts'
import { ratelimitErrors } from './errors.ts'
import { ratelimitOptions } from './options.ts'
import type { RatelimitOptions } from './options.ts'
import type { LimitPlans, Policy } from './policies.ts'
import { ratelimitPort } from './ratelimit.ts'
import type { Ratelimit } from './ratelimit.ts'
import { apiPolicies, policiesOf, standardPolicies } from './route-policies.ts'
import { misdeclared } from './rules.ts'

export interface RatelimitFeature {
  /** Limits that routes name. One of the name of a standard one (`ip`, `user`, `register`, `login`, `refresh`, `hooks`) takes its place. */
  readonly limits?: readonly Policy[]
  /** Names of those that count calls of every route which does not say otherwise. Default: `ip` and `user`. */
  readonly api?: readonly string[]
  /** Who knows the plans of limits that are `perPlan: true`. */
  readonly plans?: Port<LimitPlans>
  /** In place of the one that the options choose. */
  readonly driver?: RatelimitDriver
}

interface Needs {
  readonly [name: string]: Port<unknown>
  readonly db: typeof dbPort
  readonly redis: typeof redisPort
}

/** Limits every route of the app, by defaults and by what routes say: `rate` and `cost`. */
export function ratelimit(given: RatelimitFeature = {}): Feature {
  return defineFeature<RatelimitOptions, Needs, RunningRatelimit>({
    name: 'ratelimit',
    options: ratelimitOptions,
    needs: { db: dbPort, redis: redisPort, ...(given.plans !== undefined && { plans: given.plans }) },
    provides: ratelimitPort as Port<RunningRatelimit>,
    errors: ratelimitErrors,
    migrations: { module: 'ratelimit', directory: new URL('./migrations/', import.meta.url) },
    setup: async (parts) => {
      const { options, clock, log, metrics } = parts
      const driver = given.driver ?? (await chooseDriver(parts as never))
      const limiter = createRatelimit(driver, {
        clock,
        log,
        metrics,
        deadlineMs: options.deadlineMs,
        replicas: options.replicas,
      })
      const planFaults = metrics.counter('forge_ratelimit_plan_faults_total', {
        help: 'Calls that were counted without a plan, since the plan could not be told',
        labelNames: ['limit'],
      })
      const plans = parts['plans'] as LimitPlans | undefined
      const binding = { limiter, plans, ipv6Prefix: options.ipv6Prefix, log, planFaults }
      return Object.assign(limiter, {
        gates: gatesOf(given, options, binding, !driver.capabilities.shared),
      })
    },
    start: (service) => service.start(),
    stop: (service) => service.close(),
    // Whether counts are shared is not for a load balancer to act upon.
    health: async (service): Promise<Health> => (service.lost ? { ok: true, detail: 'degraded' } : { ok: true }),
    gates: (service) => service.gates,
  })
}

/** The plugin itself knows more of the service than its users do. */
interface RunningRatelimit extends Ratelimit {
  readonly gates: readonly GateSpec[]
}

function gatesOf(
  { limits = [], api }: RatelimitFeature,
  options: RatelimitOptions,
  binding: BindSettings,
  immediate: boolean,
): readonly GateSpec[] {
  const ofApi = apiPolicies(options.perIp, options.perUser)
  const known = new Map<string, Policy>()
  for (const policy of [...standardPolicies(), ...ofApi]) known.set(policy.name, policy)
  const own = new Set<string>()
  for (const policy of limits) {
    if (own.has(policy.name)) throw misdeclared(policy.name, 'two limits have this name')
    own.add(policy.name)
    known.set(policy.name, policy)
  }
  const everywhere = (api ?? ofApi.map(({ name }) => name)).map((name) => {
    const policy = known.get(name)
    if (policy === undefined) throw misdeclared(name, 'ratelimit({ api }) names it, and nobody declares it')
    return policy
  })
  if (!options.enforced) return []
  const bound = new Map<Policy, BoundPolicy>()
  for (const policy of known.values()) bound.set(policy, bind(policy, binding))
  const spec = (phase: Policy['phase']): GateSpec => {
    const on = (route: Route): readonly Policy[] =>
      policiesOf(route, known, everywhere).filter((policy) => policy.phase === phase)
    return {
      phase,
      for: (route): Gate | undefined => {
        const policies = on(route).map((policy) => bound.get(policy)!)
        const settings = { cost: route.cost ?? 1, legacy: options.legacyHeaders, immediate }
        return policies.length === 0 ? undefined : consult(policies, settings)
      },
      describe: (route) => describe(on(route), options.legacyHeaders),
    }
  }
  return [spec('arrival'), spec('admitted')]
}

function describe(policies: readonly Policy[], legacy: boolean): ExtensionDocs | undefined {
  if (policies.length === 0) return undefined
  const header = (description: string, type = 'string'): Readonly<Record<string, unknown>> => ({
    description,
    schema: { type },
  })
  const rates = policies.filter(({ spec }) => !('concurrent' in spec))
  return {
    errors: [
      ...(rates.length > 0 ? ['ratelimit.exceeded'] : []),
      ...(rates.length < policies.length ? ['ratelimit.too_many_at_once'] : []),
      ...(policies.some(({ spec }) => spec.whenLost === 'closed') ? ['ratelimit.unavailable'] : []),
      ...(rates.some(({ spec }) => 'cost' in spec && typeof spec.cost === 'function')
        ? ['ratelimit.cost_invalid']
        : []),
    ],
    headers: {
      'RateLimit-Policy': header('The limits that count this call.'),
      RateLimit: header('What is left of them.'),
      ...(legacy && {
        'X-RateLimit-Limit': header('Of the limit with the least left: what may be spent at once.', 'integer'),
        'X-RateLimit-Remaining': header('What is left of it.', 'integer'),
        'X-RateLimit-Reset': header('Seconds until all of it is back.', 'integer'),
      }),
    },
  }
}

interface Stores extends Pick<Toolbox<RatelimitOptions>, 'options' | 'clock' | 'app'> {
  readonly db: Db
  readonly redis: Redis | undefined
}

/** The driver that the options ask for; only its own code is loaded. */
async function chooseDriver({ options, clock, app, db, redis }: Stores): Promise<RatelimitDriver> {
  const shared = app.environment === 'production' || options.replicas > 1 ? 'postgres' : 'memory'
  const kind = options.driver !== 'auto' ? options.driver : redis === undefined ? shared : 'leased'
  if (kind === 'memory') return (await import('./drivers/memory.ts')).memory({ clock })
  if (kind === 'postgres') return (await import('./drivers/postgres.ts')).postgres(db)
  if (redis === undefined) throw misdeclared(kind, 'FORGE_RATELIMIT_DRIVER asks for Redis, and REDIS_URL is not set')
  const exact = (await import('./drivers/redis.ts')).redis(redis, { clock })
  return kind === 'redis' ? exact : (await import('./drivers/leased.ts')).leased(exact, { clock })
}
