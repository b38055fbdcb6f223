import type { Queryable } from '../../../primitives/db/index.ts'
import type { Added, Jobs } from '../../../primitives/jobs/index.ts'
import type { Delivery, Replay } from './delivery.ts'
import { deliverWebhook } from './job.ts'
import type { Called } from './repository.ts'

/** Deliveries of one transaction. */
export const replayBatch = 500

interface Chosen {
  readonly id: string
  readonly tenantId: string
  readonly endpointId: string
}

const chosen = 'd.id, d.tenant_id as "tenantId", d.endpoint_id as "endpointId"'

/** Gives each a job. */
function give(tx: Queryable, jobs: Jobs, deliveries: readonly Chosen[]): Promise<readonly Added[]> {
  return jobs.enqueueMany(
    deliverWebhook,
    deliveries.map(({ id, tenantId, endpointId }) => ({ payload: { delivery: id }, tenantId, key: endpointId })),
    {},
    tx,
  )
}

/**
 * Calls those that did not hear it, since the job that they wait in is only on its way to sleep: with a second one. The first
 * to come takes the delivery, and the other finds that it is not its own, or over.
 */
export async function callAnew(tx: Queryable, jobs: Jobs, called: readonly Called[], now: Date): Promise<void> {
  const { rows } = await tx.query<Chosen>(
    `update forge_webhooks_deliveries d set job_id = null from unnest($1::uuid[], $2::bigint[]) as u (id, job_id)
     where d.id = u.id and d.job_id = u.job_id and d.state = 'pending' and not d.waiting and (d.leased_until is null or d.leased_until <= $3)
     returning ${chosen}`,
    [called.map(({ id }) => id), called.map(({ jobId }) => jobId), now],
  )
  if (rows.length > 0) await give(tx, jobs, rows)
}

/** Makes deliveries new and gives them a job each. Whatever job of theirs is still around finds that it is theirs no more. */
export async function begin(tx: Queryable, jobs: Jobs, deliveries: readonly Chosen[]): Promise<void> {
  if (deliveries.length === 0) return
  const added = await give(tx, jobs, deliveries)
  await tx.query(
    `update forge_webhooks_deliveries d set state = 'pending', tries = 0, next_at = null, slot_at = null, leased_until = null, waiting = false,
       settled_at = null, last_error = null, job_id = u.job_id
     from unnest($1::uuid[], $2::bigint[]) as u (id, job_id) where d.id = u.id`,
    [deliveries.map(({ id }) => id), added.map(({ id }) => id)],
  )
}

/** What a replay takes, as conditions. */
function fitting(
  tenantId: string,
  endpointId: string,
  { since, until, types, states = ['failed', 'cancelled'] }: Replay,
): { readonly where: string; readonly values: unknown[] } {
  return {
    where: `d.tenant_id = $1 and d.endpoint_id = $2 and d.created_at >= $3 and ($4::timestamptz is null or d.created_at < $4)
      and ($5::text[] is null or m.type = any ($5)) and d.state = any ($6)`,
    values: [tenantId, endpointId, since, until ?? null, types === undefined ? null : [...types], [...states]],
  }
}

const tables = 'forge_webhooks_deliveries d join forge_webhooks_messages m on m.id = d.message_id'

export async function countFitting(
  db: Queryable,
  tenantId: string,
  endpointId: string,
  replay: Replay,
): Promise<{ readonly count: number; readonly sample: readonly Delivery[] }> {
  const { where, values } = fitting(tenantId, endpointId, replay)
  const { rows } = await db.query<{ count: number }>(
    `select count(*)::int as count from ${tables} where ${where}`,
    values,
  )
  const sample = await db.query<Delivery>(
    `select d.id, d.endpoint_id as "endpointId", d.message_id as "messageId", m.event_id as "eventId", m.type, d.state, d.format,
       d.attempts, d.next_at as "nextAt", d.last_status as "lastStatus", d.last_error as "lastError", d.created_at as "createdAt",
       d.settled_at as "settledAt"
     from ${tables} where ${where} order by d.seq limit 10`,
    values,
  )
  return { count: rows[0]!.count, sample: sample.rows }
}

/** The oldest that fit, locked. `after`: beyond these, so that what was begun and is over already is not begun again. */
export async function takeFitting(
  tx: Queryable,
  tenantId: string,
  endpointId: string,
  replay: Replay,
  after: string,
): Promise<readonly (Chosen & { readonly seq: string })[]> {
  const { where, values } = fitting(tenantId, endpointId, replay)
  const { rows } = await tx.query<Chosen & { readonly seq: string }>(
    `select ${chosen}, d.seq::text as seq from ${tables} where ${where} and d.seq > $7 order by d.seq limit ${replayBatch} for update of d`,
    [...values, after],
  )
  return rows
}

/** Locked, whatever its state. */
export async function lockDelivery(
  tx: Queryable,
  tenantId: string,
  id: string,
): Promise<
  (Chosen & { readonly state: Delivery['state']; readonly jobId: number | null; readonly enabled: boolean }) | undefined
> {
  await tx.query(
    `select 1 from forge_webhooks_flows where endpoint_id = (
       select endpoint_id from forge_webhooks_deliveries where id = $1 and tenant_id = $2) for update`,
    [id, tenantId],
  )
  const { rows } = await tx.query<
    Chosen & { readonly state: Delivery['state']; readonly jobId: number | null; readonly enabled: boolean }
  >(
    `select ${chosen}, d.state, d.job_id::float8 as "jobId", e.enabled from forge_webhooks_deliveries d
     join forge_webhooks_endpoints e on e.id = d.endpoint_id
     where d.tenant_id = $1 and d.id = $2 and e.deleted_at is null`,
    [tenantId, id],
  )
  return rows[0]
}

export interface Stale extends Chosen {
  readonly seq: string
  readonly jobId: number | null
}

/** Pending ones behind `after` that should have been tried long ago: candidates for a job that was taken away from them. */
export async function selectStale(
  db: Queryable,
  before: Date,
  limit: number,
  after: Pick<Stale, 'endpointId' | 'seq'> | undefined,
): Promise<readonly Stale[]> {
  const { rows } = await db.query<Stale>(
    `select ${chosen}, d.seq::text as seq, d.job_id::float8 as "jobId" from forge_webhooks_deliveries d
     where d.state = 'pending' and greatest(d.created_at, d.next_at, d.slot_at, d.leased_until) < $1
       and ($3::uuid is null or (d.endpoint_id, d.seq) > ($3::uuid, $4::bigint))
     order by d.endpoint_id, d.seq limit $2`,
    [before, limit, after?.endpointId ?? null, after?.seq ?? null],
  )
  return rows
}

/** Whether it waits still, and for the job that it had then: held until the end of `tx`. */
export async function holdStale(tx: Queryable, { id, jobId }: Pick<Stale, 'id' | 'jobId'>): Promise<boolean> {
  const { rowCount } = await tx.query(
    `select 1 from forge_webhooks_deliveries
     where id = $1 and state = 'pending' and job_id is not distinct from $2::bigint for update`,
    [id, jobId],
  )
  return rowCount === 1
}
