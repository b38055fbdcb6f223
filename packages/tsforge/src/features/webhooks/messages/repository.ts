import type { PageRequest, Slice } from '../../../kernel/page.ts'
import { selectPage } from '../../../primitives/db/index.ts'
import type { KeysetColumn, Queryable } from '../../../primitives/db/index.ts'
import type { BodyFormat } from '../endpoints/endpoint.ts'
import type { Message } from '../deliveries/delivery.ts'

export interface NewMessage {
  readonly id: string
  readonly tenantId: string
  readonly eventId: string
  readonly type: string
  readonly body: string | null
  readonly cloudEvent: string | null
}

/** Ids by tenant and event; those of an event that is known stay as they are, and so does what is sent for it. */
export async function insertMessages(
  tx: Queryable,
  messages: readonly NewMessage[],
  now: Date,
): Promise<ReadonlyMap<string, string>> {
  // In one order for everybody: two that write the same events wait for each other once.
  const sorted = messages.toSorted((a, b) => (a.tenantId + a.eventId < b.tenantId + b.eventId ? -1 : 1))
  const { rows } = await tx.query<{ id: string; tenantId: string; eventId: string }>(
    `insert into forge_webhooks_messages as m (id, tenant_id, event_id, type, body, cloud_event, created_at)
     select u.id, u.tenant_id, u.event_id, u.type, u.body, u.cloud_event, $7
     from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[]) as u (id, tenant_id, event_id, type, body, cloud_event)
     on conflict (tenant_id, event_id) do update
       set body = coalesce(m.body, excluded.body), cloud_event = coalesce(m.cloud_event, excluded.cloud_event)
     returning id, tenant_id as "tenantId", event_id as "eventId"`,
    [
      sorted.map(({ id }) => id),
      sorted.map(({ tenantId }) => tenantId),
      sorted.map(({ eventId }) => eventId),
      sorted.map(({ type }) => type),
      sorted.map(({ body }) => body),
      sorted.map(({ cloudEvent }) => cloudEvent),
      now,
    ],
  )
  return new Map(rows.map(({ id, tenantId, eventId }) => [`${tenantId} ${eventId}`, id]))
}

export interface NewDelivery {
  readonly id: string
  readonly tenantId: string
  readonly endpointId: string
  readonly messageId: string
  readonly format: BodyFormat
  /** False: it is written down as missed. */
  readonly enabled: boolean
}

/** Gives those that are new: each endpoint gets a message once. */
export async function insertDeliveries(
  tx: Queryable,
  deliveries: readonly NewDelivery[],
  now: Date,
): Promise<readonly NewDelivery[]> {
  const { rows } = await tx.query<{ id: string }>(
    `insert into forge_webhooks_deliveries (id, tenant_id, endpoint_id, message_id, format, state, last_error, created_at, settled_at)
     select u.id, u.tenant_id, u.endpoint_id, u.message_id, u.format, case when u.enabled then 'pending' else 'cancelled' end,
       case when u.enabled then null else 'webhooks.endpoint_disabled' end, $7, case when u.enabled then null else $7::timestamptz end
     from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::boolean[])
       with ordinality as u (id, tenant_id, endpoint_id, message_id, format, enabled, at)
     order by u.at
     on conflict (endpoint_id, message_id) do nothing returning id`,
    [
      deliveries.map(({ id }) => id),
      deliveries.map(({ tenantId }) => tenantId),
      deliveries.map(({ endpointId }) => endpointId),
      deliveries.map(({ messageId }) => messageId),
      deliveries.map(({ format }) => format),
      deliveries.map(({ enabled }) => enabled),
      now,
    ],
  )
  const added = new Set(rows.map(({ id }) => id))
  return deliveries.filter(({ id }) => added.has(id))
}

const columns = `id, event_id as "eventId", type, body, cloud_event as "cloudEvent", created_at as "createdAt"`

export async function selectMessage(db: Queryable, tenantId: string, id: string): Promise<Message | undefined> {
  const { rows } = await db.query<Message>(
    `select ${columns} from forge_webhooks_messages where tenant_id = $1 and id = $2`,
    [tenantId, id],
  )
  return rows[0]
}

const byId: KeysetColumn = { expression: 'id', type: 'uuid', direction: 'desc' }

/** Ids grow with time. */
export function selectMessages(
  db: Queryable,
  tenantId: string,
  type: string | undefined,
  page: PageRequest,
): Promise<Slice<Message>> {
  const list = {
    select: columns,
    from: 'forge_webhooks_messages',
    where: 'tenant_id = $1 and ($2::text is null or type = $2)',
    values: [tenantId, type ?? null],
    order: page.order.map(({ direction }) => ({ ...byId, direction })),
    tieBreak: byId,
  }
  return selectPage<Message>(db, list, page)
}
