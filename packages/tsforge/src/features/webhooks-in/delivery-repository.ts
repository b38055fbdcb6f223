import type { Queryable } from '../../primitives/db/index.ts'
import type { DeliveryContent, DeliveryFilter, DeliveryRecord } from './webhooks-in.ts'

const facts = `id, source, tenant_id as "tenantId", delivery_id as "deliveryId", event, state, attempts, error,
  signed_at as "signedAt", received_at as "receivedAt", settled_at as "settledAt", coalesce(octet_length(body), 0) as bytes,
  job_id::float8 as "jobId"`

export interface NewDelivery {
  readonly id: string
  readonly source: string
  readonly tenantId: string | null
  readonly deliveryId: string
  readonly proof: Buffer | null
  readonly event: string | null
  readonly signedAt: Date | null
  readonly receivedAt: Date
  readonly headers: Readonly<Record<string, string>>
  readonly contentType: string | null
  readonly body: Buffer
}

/** False when it has come before: waits for a transaction under way that brings the same one. */
export async function insertDelivery(tx: Queryable, delivery: NewDelivery): Promise<boolean> {
  const { id, source, tenantId, deliveryId, proof, event, signedAt, receivedAt, headers, contentType, body } = delivery
  const { rowCount } = await tx.query(
    `insert into forge_webhooks_in_deliveries
       (id, source, tenant_id, delivery_id, proof, event, signed_at, received_at, headers, content_type, body)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) on conflict do nothing`,
    [id, source, tenantId, deliveryId, proof, event, signedAt, receivedAt, JSON.stringify(headers), contentType, body],
  )
  return rowCount === 1
}

export async function setJob(tx: Queryable, id: string, jobId: number): Promise<void> {
  await tx.query('update forge_webhooks_in_deliveries set job_id = $2 where id = $1', [id, jobId])
}

/** With its body; one that has had its time is `undefined` in it. */
export async function selectDelivery(
  db: Queryable,
  id: string,
): Promise<(Omit<DeliveryContent, 'body'> & { readonly body: Buffer | null }) | undefined> {
  const { rows } = await db.query<Omit<DeliveryContent, 'body'> & { readonly body: Uint8Array | null }>(
    `select ${facts}, headers, content_type as "contentType", body from forge_webhooks_in_deliveries where id = $1`,
    [id],
  )
  const [row] = rows
  // PGlite gives plain arrays of bytes.
  return row && { ...row, body: row.body === null ? null : Buffer.from(row.body) }
}

export async function selectDeliveries(
  db: Queryable,
  { tenantId, source, state, event }: DeliveryFilter,
  limit: number,
  before: string | undefined,
): Promise<DeliveryRecord[]> {
  const values: unknown[] = []
  const is = (column: string, value: unknown, operator = '='): string[] =>
    value === undefined ? [] : [value === null ? `${column} is null` : `${column} ${operator} $${values.push(value)}`]
  // Only what is asked for, so that each list finds its index.
  const where = [
    'body is not null',
    ...is('tenant_id', tenantId),
    ...is('source', source),
    ...is('state', state),
    ...is('event', event),
    ...is('id', before, '<'),
  ].join(' and ')
  const { rows } = await db.query<DeliveryRecord>(
    `select ${facts} from forge_webhooks_in_deliveries where ${where} order by id desc limit $${values.push(limit)}`,
    values,
  )
  return rows
}

/** True for the one transaction that may have the effect: another waits until this one has ended. */
export async function claimEffect(tx: Queryable, id: string, at: Date): Promise<boolean> {
  const { rowCount } = await tx.query(
    'update forge_webhooks_in_deliveries set effect_at = $2 where id = $1 and effect_at is null',
    [id, at],
  )
  return rowCount === 1
}

export async function settleHandled(db: Queryable, id: string, at: Date): Promise<void> {
  await db.query(
    `update forge_webhooks_in_deliveries set state = 'handled', settled_at = $2, error = null where id = $1`,
    [id, at],
  )
}

/** Counts a failed run; with `dead` it was the last. */
export async function noteFailure(
  db: Queryable,
  id: string,
  { error, dead, at }: { readonly error: string; readonly dead: boolean; readonly at: Date },
): Promise<void> {
  await db.query(
    `update forge_webhooks_in_deliveries set attempts = attempts + 1, error = $2,
       state = case when $3 then 'dead' else state end, settled_at = case when $3 then $4::timestamptz end
     where id = $1 and state = 'pending'`,
    [id, error, dead, at],
  )
}

/** Ends one whose job has ended without telling; false when it was settled, or got another job, meanwhile. */
export async function endStuck(
  db: Queryable,
  { id, jobId }: Pick<DeliveryRecord, 'id' | 'jobId'>,
  { error, at }: { readonly error: string; readonly at: Date },
): Promise<boolean> {
  const { rowCount } = await db.query(
    `update forge_webhooks_in_deliveries set attempts = attempts + 1, error = $3, state = 'dead', settled_at = $4
     where id = $1 and state = 'pending' and job_id is not distinct from $2::bigint`,
    [id, jobId, error, at],
  )
  return rowCount === 1
}

/** Makes it pending again; false when it is, or has no body any more. */
export async function reopen(tx: Queryable, id: string): Promise<boolean> {
  const { rowCount } = await tx.query(
    `update forge_webhooks_in_deliveries
     set effect_at = case when state = 'handled' then null else effect_at end, state = 'pending', settled_at = null, attempts = 0
     where id = $1 and state <> 'pending' and body is not null`,
    [id],
  )
  return rowCount === 1
}

/** Pending ones of long ago, whose job may have ended without telling. */
export async function selectStuck(
  db: Queryable,
  before: Date,
  after: string | undefined,
  limit: number,
): Promise<DeliveryRecord[]> {
  const { rows } = await db.query<DeliveryRecord>(
    `select ${facts} from forge_webhooks_in_deliveries
     where state = 'pending' and received_at < $1 and ($2::uuid is null or id > $2) order by id limit $3`,
    [before, after ?? null, limit],
  )
  return rows
}

/** Takes the content of what has had its time, or all of it where its id need not be remembered. Gives how many rows. */
export async function expire(db: Queryable, before: Date, forgetBefore: Date, limit: number): Promise<number> {
  const emptied = await db.query(
    `update forge_webhooks_in_deliveries set body = null, headers = '{}' where id = any (array(
       select id from forge_webhooks_in_deliveries
       where state <> 'pending' and received_at < $1 and signed_at is null and body is not null limit $2))`,
    [before, limit],
  )
  const deleted = await db.query(
    `delete from forge_webhooks_in_deliveries where id = any (array(
       select id from forge_webhooks_in_deliveries
       where state <> 'pending' and received_at < $1 and signed_at is not null and body is not null limit $2))`,
    [before, limit],
  )
  const forgotten = await db.query(
    `delete from forge_webhooks_in_deliveries where id = any (array(
       select id from forge_webhooks_in_deliveries where body is null and received_at < $1 limit $2))`,
    [forgetBefore, limit],
  )
  return Math.max(...[emptied, deleted, forgotten].map(({ rowCount }) => rowCount ?? 0))
}
