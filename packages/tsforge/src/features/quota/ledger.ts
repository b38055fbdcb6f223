import type { Queryable } from '../../primitives/db/index.ts'
import type { Per } from './plans.ts'
import type { RawStanding } from './standing.ts'

/** A subject as the tables know it: a tenant, and one of its API keys or none. */
export interface Account {
  readonly tenantId: string
  readonly keyId: string | null
}

export interface RawEvent {
  readonly id: string
  readonly subject_id: string
  readonly per: Per
  readonly starts_at: string
  readonly level: number
  readonly used: number
  readonly allowed: number
  readonly occurred_at: string
}

/** What `forge_quota_take` answers. */
export type TakeAnswer = Counted | Faulty

export interface Counted {
  readonly fault?: undefined
  readonly plan: string
  readonly at: string
  readonly granted: readonly boolean[]
  /** Sum of what was granted. */
  readonly total: number
  /** As they were before. */
  readonly windows: readonly RawStanding[]
  readonly events: readonly RawEvent[]
}

/** The tenant has a plan that is not declared, or one without this quota. */
export interface Faulty {
  readonly fault: 'plan' | 'absent'
  readonly plan: string
}

export interface TakeInput extends Account {
  readonly quota: string
  readonly costs: readonly number[]
  readonly policies: string
  readonly defaultPlan: string
  /** `null`: the database's own time. */
  readonly now: Date | null
  readonly reservation?: { readonly id: string; readonly leaseMs: number }
}

/** As `with …`, so that it counts as the write that it is. */
export async function take(db: Queryable, input: TakeInput): Promise<TakeAnswer> {
  const { tenantId, keyId, quota, costs, policies, defaultPlan, now, reservation } = input
  const { rows } = await db.query<{ answer: TakeAnswer }>(
    `with taken as materialized (
       select forge_quota_take($1, $2, $3, $4::bigint[], $5::jsonb, $6, $7::timestamptz, $8::uuid, $9 * interval '1 ms') as answer
     ) select answer from taken`,
    [tenantId, keyId, quota, costs, policies, defaultPlan, now, reservation?.id ?? null, reservation?.leaseMs ?? null],
  )
  return rows[0]!.answer
}

export async function giveBack(
  db: Queryable,
  { tenantId, keyId }: Account,
  quota: string,
  cost: number,
  at: string,
): Promise<void> {
  await db.query(
    `with given as materialized (select forge_quota_add($1, $2, $3, -$4::bigint, $5::timestamptz)) select from given`,
    [tenantId, keyId, quota, cost, at],
  )
}

export async function commit(
  db: Queryable,
  id: string,
  cost: number | null,
  now: Date | null,
): Promise<'done' | 'gone' | 'cost'> {
  const { rows } = await db.query<{ answer: 'done' | 'gone' | 'cost' }>(
    `with done as materialized (select forge_quota_commit($1, $2::bigint, $3::timestamptz) as answer) select answer from done`,
    [id, cost, now],
  )
  return rows[0]!.answer
}

export async function release(db: Queryable, id: string): Promise<void> {
  await db.query('delete from forge_quota_reservations where id = $1', [id])
}

export interface UsageRow extends RawStanding {
  readonly quota: string
}

export interface UsageAnswer {
  readonly plan: string
  /** `null`: the plan is not declared. */
  readonly standings: readonly UsageRow[] | null
}

export async function readUsage(
  db: Queryable,
  { tenantId, keyId }: Account,
  everything: string,
  defaultPlan: string,
  now: Date | null,
): Promise<UsageAnswer> {
  const { rows } = await db.query<UsageAnswer>(
    `with t as (
       select coalesce((select plan from forge_quota_assignments where tenant_id = $1), $4) as plan,
         forge_quota_anchor_of($1) as anchor, coalesce($5::timestamptz, now()) as at
     )
     select t.plan, case when $3::jsonb ? t.plan then (
       select coalesce(jsonb_agg(to_jsonb(s) || jsonb_build_object('quota', q.key)), '[]')
       from jsonb_each($3::jsonb -> t.plan) q
       cross join lateral forge_quota_standing($1, $2, q.key, q.value, t.anchor, t.at) s
     ) end as standings
     from t`,
    [tenantId, keyId, everything, defaultPlan, now],
  )
  return rows[0]!
}

export interface HistoryRow {
  readonly subjectId: string
  readonly quota: string
  readonly per: Per
  readonly startsAt: Date
  readonly endsAt: Date
  readonly used: number
  readonly allowed: number | null
}

export async function readHistory(
  db: Queryable,
  tenantId: string,
  quota: string | null,
  limit: number,
  now: Date | null,
): Promise<HistoryRow[]> {
  const { rows } = await db.query<HistoryRow>(
    `select subject_id as "subjectId", quota, per, starts_at as "startsAt", ends_at as "endsAt", used, allowed
     from forge_quota_counters
     where tenant_id = $1 and ($2::text is null or quota = $2) and per in ('day', 'month')
       and ends_at <= coalesce($4::timestamptz, now()) and used > 0
     order by starts_at desc, quota, per, subject_id limit $3`,
    [tenantId, quota, limit, now],
  )
  return rows
}
