import { currentContext } from '../../kernel/context.ts'
import type { Queryable } from '../../primitives/db/index.ts'

export interface Assignment {
  readonly plan: string
  readonly anchorDay: number
}

export async function readAssignment(db: Queryable, tenantId: string): Promise<Assignment | undefined> {
  const { rows } = await db.query<Assignment>(
    `select plan, anchor_day as "anchorDay" from forge_quota_assignments where tenant_id = $1`,
    [tenantId],
  )
  return rows[0]
}

/** Stores the plan, and the anchor day when one is given; carries the running months over to a new anchor. */
export async function writeAssignment(
  tx: Queryable,
  tenantId: string,
  plan: string,
  anchorDay: number | undefined,
  stamp: Date,
  now: Date | null,
): Promise<Assignment> {
  // The row first, so that two assignments of one tenant come one after the other.
  await tx.query(
    `insert into forge_quota_assignments (tenant_id, plan, created_at, created_by, updated_at, updated_by)
     values ($1, $2, $3, $4, $3, $4)
     on conflict (tenant_id) do update set plan = excluded.plan, updated_at = excluded.updated_at, updated_by = excluded.updated_by`,
    [tenantId, plan, stamp, currentContext()?.actor.id ?? null],
  )
  const before = (await readAssignment(tx, tenantId))!
  if (anchorDay === undefined || anchorDay === before.anchorDay) return before
  // Whoever is taking has finished once these are locked, and whoever waits for them will see the new anchor.
  await tx.query(
    `select 1 from forge_quota_counters
     where tenant_id = $1 and per = 'month' and ends_at > coalesce($2::timestamptz, clock_timestamp())
     order by quota, subject_id = tenant_id desc for update`,
    [tenantId, now],
  )
  await tx.query(
    `insert into forge_quota_counters as c (tenant_id, subject_id, quota, per, starts_at, ends_at, used, allowed, told)
     select o.tenant_id, o.subject_id, o.quota, 'month', n.starts_at, n.ends_at, o.used, o.allowed, o.told
     from (select coalesce($3::timestamptz, clock_timestamp()) as at) t
     cross join lateral forge_quota_period('month', t.at, $4) p
     cross join lateral forge_quota_period('month', t.at, $2) n
     join forge_quota_counters o on o.tenant_id = $1 and o.per = 'month' and o.starts_at = p.starts_at
     on conflict (tenant_id, subject_id, quota, per, starts_at)
       do update set used = greatest(c.used, excluded.used), told = greatest(c.told, excluded.told)`,
    [tenantId, anchorDay, now, before.anchorDay],
  )
  await tx.query('update forge_quota_assignments set anchor_day = $2 where tenant_id = $1', [tenantId, anchorDay])
  return { plan, anchorDay }
}

/** Plans that tenants have and `known` does not name, with how many have each. */
export async function unknownPlans(
  db: Queryable,
  known: readonly string[],
): Promise<{ readonly plan: string; readonly tenants: number }[]> {
  const { rows } = await db.query<{ plan: string; tenants: number }>(
    `select plan, count(*) as tenants from forge_quota_assignments where plan <> all ($1::text[]) group by plan order by plan limit 20`,
    [known],
  )
  return rows
}
