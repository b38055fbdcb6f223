import type { PermissionSpec } from '../../http/feature.ts'
import { route } from '../../http/route.ts'
import type { Route } from '../../http/route.ts'
import { nullable, Timestamp, Type, Uuid } from '../../http/schema.ts'
import type { Static } from '../../http/schema.ts'
import { quotaErrors } from './errors.ts'
import type { PastPeriod, Quota, QuotaStanding, TenantPlan } from './quota.ts'

export const quotaPermissions: Readonly<Record<'quota.read' | 'quota.manage', PermissionSpec>> = {
  'quota.read': {
    description: { en: 'See usage and the plan', id: 'Melihat pemakaian dan paket' },
    grantedTo: 'member',
  },
  'quota.manage': { description: { en: 'Choose the plan', id: 'Memilih paket' } },
}

const Per = Type.Union([Type.Literal('minute'), Type.Literal('hour'), Type.Literal('day'), Type.Literal('month')])
const StandingData = Type.Object(
  {
    per: Per,
    limit: nullable(Type.Integer()),
    soft: Type.Boolean(),
    used: Type.Integer(),
    remaining: nullable(Type.Integer()),
    starts_at: Timestamp,
    resets_at: Timestamp,
  },
  { $id: 'QuotaStanding' },
)
const UsageData = Type.Object(
  {
    plan: Type.String(),
    quotas: Type.Array(Type.Object({ quota: Type.String(), limits: Type.Array(StandingData) })),
  },
  { $id: 'QuotaUsage' },
)
const PeriodData = Type.Object(
  {
    quota: Type.String(),
    per: Per,
    api_key_id: nullable(Uuid),
    starts_at: Timestamp,
    ends_at: Timestamp,
    used: Type.Integer(),
    limit: nullable(Type.Integer()),
  },
  { $id: 'QuotaPeriod' },
)
const PlanData = Type.Object(
  { plan: Type.String(), assigned: Type.Boolean(), anchor_day: Type.Integer() },
  { $id: 'QuotaPlan' },
)

/** All work in the tenant of the checked context; none of them names another. */
export function quotaRoutes(quota: Quota): readonly Route[] {
  const tags = ['quota']
  return [
    route({
      method: 'GET',
      url: '/api/v1/quota/usage',
      id: 'getQuotaUsage',
      summary: 'What the tenant has used, and what is left',
      description: 'Minutes and hours slide; days and months are of the calendar in UTC. `limit` null: unlimited.',
      tags,
      access: 'quota.read',
      etag: false,
      data: UsageData,
      errors: ['quota.plan_unknown'],
      handler: async ({ tenantId }) => {
        const { plan, quotas } = await quota.usage({ kind: 'tenant', id: tenantId! })
        return { plan, quotas: quotas.map((each) => ({ quota: each.quota, limits: each.standings.map(standingData) })) }
      },
    }),
    route({
      method: 'GET',
      url: '/api/v1/quota/history',
      id: 'listQuotaHistory',
      summary: 'Past days and months of the tenant, newest first',
      tags,
      access: 'quota.read',
      query: Type.Object({
        quota: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })),
        limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000 })),
      }),
      data: Type.Array(PeriodData),
      errors: ['quota.unknown'],
      handler: async ({ tenantId, query }) => (await quota.history(tenantId!, query)).map(periodData),
    }),
    route({
      method: 'GET',
      url: '/api/v1/quota/plan',
      id: 'getQuotaPlan',
      summary: 'The plan of the tenant',
      tags,
      access: 'quota.read',
      data: PlanData,
      errors: ['quota.plan_unknown'],
      handler: async ({ tenantId }) => planData(await quota.planOf(tenantId!)),
    }),
    route({
      method: 'PUT',
      url: '/api/v1/quota/plan',
      id: 'chooseQuotaPlan',
      summary: 'Choose a plan that is open to everybody',
      description: 'Holds from the next request on. What the running periods have used stays used.',
      tags,
      access: 'quota.manage',
      body: Type.Object({ plan: Type.String({ minLength: 1, maxLength: 64 }) }),
      data: PlanData,
      errors: ['quota.plan_unknown', 'quota.plan_closed'],
      handler: async ({ tenantId, body }) => {
        const plan = quota.plans.get(body.plan)
        if (plan === undefined) throw quotaErrors.error('quota.plan_unknown', { meta: { plan: body.plan } })
        if (!plan.open) throw quotaErrors.error('quota.plan_closed', { meta: { plan: body.plan } })
        return planData(await quota.assign(tenantId!, { plan: plan.name }))
      },
    }),
  ]
}

function standingData(standing: QuotaStanding): Static<typeof StandingData> {
  const { per, limit, soft, used, remaining, startsAt, resetsAt } = standing
  return { per, limit, soft, used, remaining, starts_at: startsAt, resets_at: resetsAt }
}

function periodData({ quota, per, keyId, startsAt, endsAt, used, limit }: PastPeriod): Static<typeof PeriodData> {
  return { quota, per, api_key_id: keyId, starts_at: startsAt, ends_at: endsAt, used, limit }
}

function planData({ plan, assigned, anchorDay }: TenantPlan): Static<typeof PlanData> {
  return { plan: plan.name, assigned, anchor_day: anchorDay }
}
