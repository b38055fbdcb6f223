import { tenantModeOf } from '../../http/compiled-route.ts'
import { defineFeature } from '../../http/feature.ts'
import type { ExtensionDocs, Feature, Gate, GateSpec } from '../../http/feature.ts'
import type { Route } from '../../http/route.ts'
import { systemClock } from '../../kernel/clock.ts'
import type { Actor } from '../../kernel/context.ts'
import type { Port, Toolbox } from '../../kernel/plugin.ts'
import { dbPort } from '../../primitives/db/index.ts'
import type { Db } from '../../primitives/db/index.ts'
import { Admission } from './admission.ts'
import type { Charge } from './admission.ts'
import { createQuota } from './create-quota.ts'
import type { StoredQuota } from './create-quota.ts'
import { quotaErrors } from './errors.ts'
import { quotaOptions } from './options.ts'
import type { QuotaOptions } from './options.ts'
import { createPlanBook, refuse } from './plans.ts'
import type { Plan, PlanBook } from './plans.ts'
import { quotaPort } from './quota.ts'
import { quotaPermissions, quotaRoutes } from './routes.ts'
import { startSweeping } from './sweep.ts'

/** What a route takes from its tenant's quota, or from its caller's API key. */
export interface RouteQuota {
  readonly quota: string
  /** Units per request. Default: the route's `cost`, else 1. */
  readonly cost?: number
  /** When usage cannot be counted. Default `FORGE_QUOTA_WHEN_LOST`. */
  readonly whenLost?: 'closed' | 'open'
}

export interface QuotaInput {
  readonly plans: readonly Plan[]
  /** The plan of tenants that have none assigned. */
  readonly defaultPlan: string
  /**
   * Quotas of routes, by route id or by the permission that routes ask for (the id wins). Such routes must demand a
   * tenant. Unknown keys, and unknown quotas, refuse to boot.
   */
  readonly routes?: Readonly<Record<string, string | RouteQuota>>
  /** The API key behind a request, as a UUID; default: none, so that all units are the tenant's. */
  readonly apiKeyOf?: (actor: Actor) => string | undefined
}

interface Room {
  readonly quota: StoredQuota
  readonly gate: GateSpec
  start(): Promise<void>
  drain(): Promise<void>
  stop(): Promise<void>
}

type Parts = Toolbox<QuotaOptions> & { readonly db: Db }

/** Metered use by plans: exact ledgers in PostgreSQL, gates for routes, and the routes under `/api/v1/quota`. */
export function quota(input: QuotaInput): Feature {
  // Here, so that a misspelt name is found where it is written.
  const book = createPlanBook(input.plans, input.defaultPlan)
  return defineFeature<QuotaOptions, { readonly db: typeof dbPort }, StoredQuota & { readonly room: Room }>({
    name: 'quota',
    options: quotaOptions,
    needs: { db: dbPort },
    provides: quotaPort as Port<StoredQuota & { readonly room: Room }>,
    errors: quotaErrors,
    permissions: quotaPermissions,
    migrations: { module: 'quota', directory: new URL('./migrations/', import.meta.url) },
    setup: (parts) => {
      const room = furnish(parts, book, input)
      return Object.assign(room.quota, { room })
    },
    start: ({ room }) => room.start(),
    drain: ({ room }) => room.drain(),
    stop: ({ room }) => room.stop(),
    routes: quotaRoutes,
    gates: ({ room }) => [room.gate],
  })
}

function furnish({ db, clock, log, metrics, options }: Parts, book: PlanBook, input: QuotaInput): Room {
  // Periods follow the database's time on all replicas alike; a test that brings a clock decides by itself.
  const time = clock === systemClock ? {} : { time: clock }
  const stored = createQuota({ db, book, clock, leaseMs: options.leaseMs, metrics, ...time })
  const lost = metrics.counter('forge_quota_lost_total', {
    help: 'Requests whose usage could not be counted',
    labelNames: ['policy'],
  })
  const admission = new Admission({ quota: stored, log, lost, apiKeyOf: input.apiKeyOf })
  const { gate, unused } = gatesOf(input.routes ?? {}, book, options.whenLost, admission)
  let stopSweeping: (() => Promise<void>) | undefined
  return {
    quota: stored,
    gate,
    async start() {
      // All routes have been compiled by now.
      refuse(unused().map((key) => `"${key}" is neither a route nor a permission of one`))
      await stored.start()
      stopSweeping = startSweeping({ db, clock, log, retentionMs: options.retentionMs, ...time })
    },
    drain: () => admission.drain(),
    async stop() {
      await stopSweeping?.()
      await admission.drain()
    },
  }
}

/** The gate of each route that `charges` names, and the names that no route had. */
function gatesOf(
  charges: NonNullable<QuotaInput['routes']>,
  book: PlanBook,
  whenLost: 'closed' | 'open',
  admission: Admission,
): { readonly gate: GateSpec; unused(): string[] } {
  const unused = new Set(Object.keys(charges))
  const chargeOf = (route: Route): Charge | undefined => {
    const keys = [route.id, route.access].filter((key) => Object.hasOwn(charges, key))
    for (const key of keys) unused.delete(key)
    if (keys.length === 0) return undefined
    const named = charges[keys[0]!]!
    const words = typeof named === 'string' ? { quota: named } : named
    return { quota: words.quota, cost: words.cost ?? route.cost ?? 1, whenLost: words.whenLost ?? whenLost }
  }
  return {
    unused: () => [...unused],
    gate: {
      phase: 'admitted',
      for(route): Gate | undefined {
        const charge = chargeOf(route)
        if (charge === undefined) return undefined
        const { quota: name, cost } = charge
        const faults: string[] = []
        if (!book.policies.has(name))
          faults.push(`route "${route.id}" is under the quota "${name}", which no plan declares`)
        if (!Number.isSafeInteger(cost) || cost < 1) faults.push(`route "${route.id}" costs ${String(cost)}`)
        if (tenantModeOf(route) !== 'required')
          faults.push(`route "${route.id}" is under a quota, but does not demand a tenant`)
        refuse(faults)
        return (call) => admission.pass(call, charge)
      },
      describe: (route) => (chargeOf(route) === undefined ? undefined : docs),
    },
  }
}

const docs: ExtensionDocs = {
  errors: ['quota.exceeded', 'quota.not_in_plan', 'quota.plan_unknown', 'quota.unavailable'],
  headers: {
    'RateLimit-Policy': {
      description: 'Limits that hold, as `"name";q=units;w=seconds`.',
      schema: { type: 'string' },
    },
    RateLimit: { description: 'What is left of them, as `"name";r=units;t=seconds`.', schema: { type: 'string' } },
  },
}
