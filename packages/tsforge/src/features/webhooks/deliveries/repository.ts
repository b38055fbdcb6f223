import type { PageRequest, Slice } from '../../../kernel/page.ts'
import { selectPage } from '../../../primitives/db/index.ts'
import type { KeysetColumn, Queryable } from '../../../primitives/db/index.ts'
import type { BodyFormat, SignatureForm } from '../endpoints/endpoint.ts'
import type { SealedSecret } from '../endpoints/secrets.ts'
import type { Attempt, Delivery, DeliveryFilter, DeliveryState } from './delivery.ts'

/** Everything that an attempt needs, as it is now: a rotated secret, a changed URL and a lower rate count at once. */
export interface Work {
  readonly id: string
  readonly seq: string
  readonly tenantId: string
  readonly endpointId: string
  readonly state: DeliveryState
  readonly attempts: number
  readonly tries: number
  readonly nextAt: Date | null
  readonly slotAt: Date | null
  readonly leasedUntil: Date | null
  readonly jobId: number | null
  readonly eventId: string
  readonly type: string
  readonly format: BodyFormat
  readonly body: string
  readonly url: string
  readonly signature: SignatureForm
  readonly headers: string | null
  readonly secrets: readonly SealedSecret[]
  readonly rate: number | null
  readonly concurrency: number | null
  readonly ordered: boolean
  /** Enabled, and not deleted. */
  readonly open: boolean
  readonly freeAt: Date | null
  readonly failures: number
  readonly failingSince: Date | null
  readonly restsUntil: Date | null
}

/** Locks what is known of the endpoint, so that its deliveries are admitted and settled one by one; then reads. */
export async function lockWork(tx: Queryable, id: string): Promise<Work | undefined> {
  await tx.query(
    `select 1 from forge_webhooks_flows where endpoint_id = (select endpoint_id from forge_webhooks_deliveries where id = $1) for update`,
    [id],
  )
  const { rows } = await tx.query<Work>(
    `select d.id, d.seq::text as seq, d.tenant_id as "tenantId", d.endpoint_id as "endpointId", d.state, d.attempts, d.tries,
       d.next_at as "nextAt", d.slot_at as "slotAt", d.leased_until as "leasedUntil", d.job_id::float8 as "jobId",
       m.event_id as "eventId", m.type, d.format, case d.format when 'standard' then m.body else m.cloud_event end as body,
       e.url, e.signature, e.headers, e.secrets, e.rate, e.concurrency, e.ordered, e.enabled and e.deleted_at is null as open,
       f.free_at as "freeAt", f.failures, f.failing_since as "failingSince", f.rests_until as "restsUntil"
     from forge_webhooks_deliveries d
     join forge_webhooks_messages m on m.id = d.message_id
     join forge_webhooks_endpoints e on e.id = d.endpoint_id
     join forge_webhooks_flows f on f.endpoint_id = d.endpoint_id
     where d.id = $1`,
    [id],
  )
  return rows[0]
}

/** Others at it now, up to `most`. */
export async function countLeased(tx: Queryable, { id, endpointId }: Work, now: Date): Promise<number> {
  const { rows } = await tx.query<{ count: number }>(
    `select count(*)::int as count from forge_webhooks_deliveries where endpoint_id = $1 and state = 'pending' and leased_until > $2 and id <> $3`,
    [endpointId, now, id],
  )
  return rows[0]!.count
}

/** Up to two that have to be over before this one, and whether they are being sent. */
export async function selectOlder(
  tx: Queryable,
  { endpointId, seq }: Work,
  now: Date,
): Promise<readonly { readonly leased: boolean }[]> {
  const { rows } = await tx.query<{ leased: boolean }>(
    `select coalesce(leased_until > $3, false) as leased from forge_webhooks_deliveries
     where endpoint_id = $1 and state = 'pending' and seq < $2 order by seq limit 2`,
    [endpointId, seq, now],
  )
  return rows
}

/** How many there are to be delivered, up to 1000. */
export async function countPending(tx: Queryable, endpointId: string): Promise<number> {
  const { rows } = await tx.query<{ count: number }>(
    `select count(*)::int as count from (select 1 from forge_webhooks_deliveries where endpoint_id = $1 and state = 'pending' limit 1000) w`,
    [endpointId],
  )
  return rows[0]!.count
}

/** A delivery whose turn has come, and the job that it waited in. */
export interface Called {
  readonly id: string
  readonly jobId: number
}

/** Takes those that have waited longest off the list. */
export async function callWaiting(tx: Queryable, endpointId: string, count: number): Promise<readonly Called[]> {
  const { rows } = await tx.query<{ id: string; jobId: number | null }>(
    `update forge_webhooks_deliveries set waiting = false where id in (
       select id from forge_webhooks_deliveries where endpoint_id = $1 and state = 'pending' and waiting order by seq limit $2)
     returning id, job_id::float8 as "jobId"`,
    [endpointId, count],
  )
  return rows.flatMap(({ id, jobId }) => (jobId === null ? [] : [{ id, jobId }]))
}

export async function wait(
  tx: Queryable,
  id: string,
  { jobId, slotAt, waiting }: { readonly jobId: number; readonly slotAt: Date | null; readonly waiting: boolean },
): Promise<void> {
  await tx.query('update forge_webhooks_deliveries set job_id = $2, slot_at = $3, waiting = $4 where id = $1', [
    id,
    jobId,
    slotAt,
    waiting,
  ])
}

/** Gives the number of the attempt. */
export async function lease(tx: Queryable, id: string, jobId: number, until: Date): Promise<number> {
  const { rows } = await tx.query<{ attempts: number }>(
    `update forge_webhooks_deliveries set job_id = $2, leased_until = $3, attempts = attempts + 1, tries = tries + 1, slot_at = null,
       next_at = null, waiting = false
     where id = $1 returning attempts`,
    [id, jobId, until],
  )
  return rows[0]!.attempts
}

/** As if it had not begun. */
export async function unlease(db: Queryable, id: string, number: number): Promise<void> {
  await db.query(
    `update forge_webhooks_deliveries set leased_until = null, tries = greatest(tries - 1, 0)
     where id = $1 and attempts = $2 and state = 'pending'`,
    [id, number],
  )
}

export async function settle(
  tx: Queryable,
  id: string,
  state: Exclude<DeliveryState, 'pending'>,
  now: Date,
  last: { readonly status?: number | null; readonly error?: string | null } = {},
): Promise<void> {
  await tx.query(
    `update forge_webhooks_deliveries set state = $2, settled_at = $3, leased_until = null, next_at = null, slot_at = null, waiting = false,
       last_status = coalesce($4, last_status), last_error = $5
     where id = $1`,
    [id, state, now, last.status ?? null, last.error ?? null],
  )
}

/** Ends what waits; what is being sent ends by itself. Gives how many. */
export async function cancelPending(tx: Queryable, endpointId: string, now: Date): Promise<number> {
  const { rowCount } = await tx.query(
    `update forge_webhooks_deliveries set state = 'cancelled', settled_at = $2, leased_until = null, next_at = null, slot_at = null,
       waiting = false, last_error = 'webhooks.endpoint_disabled'
     where endpoint_id = $1 and state = 'pending' and (leased_until is null or leased_until <= $2)`,
    [endpointId, now],
  )
  return rowCount ?? 0
}

export async function postpone(
  tx: Queryable,
  id: string,
  nextAt: Date,
  { status, error }: { readonly status: number | null; readonly error: string | null },
): Promise<void> {
  await tx.query(
    `update forge_webhooks_deliveries set leased_until = null, next_at = $2, last_status = $3, last_error = $4 where id = $1`,
    [id, nextAt, status, error],
  )
}

export interface Flow {
  readonly freeAt?: Date | null
  readonly failures?: number
  readonly failingSince?: Date | null
  readonly restsUntil?: Date | null
}

export async function saveFlow(tx: Queryable, work: Work, flow: Flow): Promise<void> {
  const { freeAt, failures, failingSince, restsUntil } = { ...work, ...flow }
  await tx.query(
    'update forge_webhooks_flows set free_at = $2, failures = $3, failing_since = $4, rests_until = $5 where endpoint_id = $1',
    [work.endpointId, freeAt, failures, failingSince, restsUntil],
  )
}

export async function insertAttempt(
  tx: Queryable,
  { tenantId, endpointId }: Work,
  attempt: Omit<Attempt, 'deliveryId'> & { readonly deliveryId: string },
): Promise<void> {
  await tx.query(
    `insert into forge_webhooks_attempts (id, tenant_id, endpoint_id, delivery_id, number, ok, status, error, url, address, duration_ms,
       request_headers, response_headers, response_body, response_clipped, started_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`,
    [
      attempt.id,
      tenantId,
      endpointId,
      attempt.deliveryId,
      attempt.number,
      attempt.ok,
      attempt.status,
      attempt.error,
      attempt.url,
      attempt.address,
      attempt.durationMs,
      JSON.stringify(attempt.requestHeaders),
      attempt.responseHeaders === null ? null : JSON.stringify(attempt.responseHeaders),
      attempt.responseBody,
      attempt.responseClipped,
      attempt.startedAt,
    ],
  )
}

const deliveryColumns = `d.id, d.endpoint_id as "endpointId", d.message_id as "messageId", m.event_id as "eventId", m.type, d.state, d.format,
  d.attempts, d.next_at as "nextAt", d.last_status as "lastStatus", d.last_error as "lastError", d.created_at as "createdAt",
  d.settled_at as "settledAt"`
const deliveryTables = `forge_webhooks_deliveries d join forge_webhooks_messages m on m.id = d.message_id
  join forge_webhooks_endpoints e on e.id = d.endpoint_id`

/** Deliveries of endpoints that are there no more are not shown. */
export async function selectDelivery(db: Queryable, tenantId: string, id: string): Promise<Delivery | undefined> {
  const { rows } = await db.query<Delivery>(
    `select ${deliveryColumns} from ${deliveryTables} where d.tenant_id = $1 and d.id = $2 and e.deleted_at is null`,
    [tenantId, id],
  )
  return rows[0]
}

const newestDelivery: KeysetColumn = { expression: 'd.id', type: 'uuid', direction: 'desc' }

export function selectDeliveries(
  db: Queryable,
  tenantId: string,
  { endpointId, messageId, state, type }: DeliveryFilter,
  page: PageRequest,
): Promise<Slice<Delivery>> {
  const where = [
    'd.tenant_id = $1 and e.deleted_at is null',
    ...(endpointId === undefined ? [] : [['d.endpoint_id', endpointId]]),
    ...(messageId === undefined ? [] : [['d.message_id', messageId]]),
    ...(state === undefined ? [] : [['d.state', state]]),
    ...(type === undefined ? [] : [['m.type', type]]),
  ]
  const values: unknown[] = [tenantId]
  const conditions = where.map((each) => (typeof each === 'string' ? each : `${each[0]} = $${values.push(each[1])}`))
  const list = {
    select: deliveryColumns,
    from: deliveryTables,
    where: conditions.join(' and '),
    values,
    order: page.order.map(({ direction }) => ({ ...newestDelivery, direction })),
    tieBreak: newestDelivery,
  }
  return selectPage<Delivery>(db, list, page)
}

const newestAttempt: KeysetColumn = { expression: 'id', type: 'uuid', direction: 'desc' }

export function selectAttempts(
  db: Queryable,
  tenantId: string,
  deliveryId: string,
  page: PageRequest,
): Promise<Slice<Attempt>> {
  const list = {
    select: `id, delivery_id as "deliveryId", number, ok, status, error, url, address, duration_ms as "durationMs",
      request_headers as "requestHeaders", response_headers as "responseHeaders", response_body as "responseBody",
      response_clipped as "responseClipped", started_at as "startedAt"`,
    from: 'forge_webhooks_attempts',
    where: 'tenant_id = $1 and delivery_id = $2',
    values: [tenantId, deliveryId],
    order: page.order.map(({ direction }) => ({ ...newestAttempt, direction })),
    tieBreak: newestAttempt,
  }
  return selectPage<Attempt>(db, list, page)
}
