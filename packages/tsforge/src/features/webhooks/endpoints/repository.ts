import { currentContext } from '../../../kernel/context.ts'
import type { PageRequest, Slice } from '../../../kernel/page.ts'
import { selectPage } from '../../../primitives/db/index.ts'
import type { KeysetColumn, Queryable } from '../../../primitives/db/index.ts'
import type { BodyFormat, DisabledReason, Endpoint, SignatureForm } from './endpoint.ts'
import type { SealedSecret } from './secrets.ts'

/** With what nobody sees. */
export interface StoredEndpoint extends Endpoint {
  readonly headers: string | null
  readonly secrets: readonly SealedSecret[]
}

/** What an update writes. */
export type EndpointValues = Pick<
  StoredEndpoint,
  | 'url'
  | 'description'
  | 'events'
  | 'format'
  | 'headerNames'
  | 'headers'
  | 'secrets'
  | 'rate'
  | 'concurrency'
  | 'ordered'
  | 'enabled'
  | 'disabledReason'
  | 'disabledAt'
  | 'metadata'
>

const shown = `id, tenant_id as "tenantId", url, description, events, signature, format, header_names as "headerNames", rate, concurrency,
  ordered, enabled, disabled_reason as "disabledReason", disabled_at as "disabledAt", metadata, version,
  created_at as "createdAt", updated_at as "updatedAt"`
const stored = `${shown}, headers, secrets`

const actorId = (): string | null => currentContext()?.actor.id ?? null

const valuesOf = (values: EndpointValues): unknown[] => [
  values.url,
  values.description,
  [...values.events],
  values.format,
  [...values.headerNames],
  values.headers,
  JSON.stringify(values.secrets),
  values.rate,
  values.concurrency,
  values.ordered,
  values.enabled,
  values.disabledReason,
  values.disabledAt,
  JSON.stringify(values.metadata),
]

/** Additions of one tenant stand in line until the commit, so that what is counted still holds then. */
export async function countLocked(tx: Queryable, tenantId: string): Promise<number> {
  await tx.query(`select pg_advisory_xact_lock(hashtextextended('forge_webhooks ' || $1, 0))`, [tenantId])
  const { rows } = await tx.query<{ count: number }>(
    'select count(*)::int as count from forge_webhooks_endpoints where tenant_id = $1 and deleted_at is null',
    [tenantId],
  )
  return rows[0]!.count
}

export async function insertEndpoint(
  tx: Queryable,
  { id, tenantId, signature }: { readonly id: string; readonly tenantId: string; readonly signature: SignatureForm },
  values: EndpointValues,
  now: Date,
): Promise<Endpoint> {
  const { rows } = await tx.query<Endpoint>(
    `insert into forge_webhooks_endpoints (url, description, events, format, header_names, headers, secrets, rate, concurrency,
       ordered, enabled, disabled_reason, disabled_at, metadata, id, tenant_id, signature, created_at, created_by, updated_at, updated_by)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $18, $19) returning ${shown}`,
    [...valuesOf(values), id, tenantId, signature, now, actorId()],
  )
  await tx.query('insert into forge_webhooks_flows (endpoint_id) values ($1)', [id])
  return rows[0]!
}

export async function selectEndpoint(db: Queryable, tenantId: string, id: string): Promise<StoredEndpoint | undefined> {
  const { rows } = await db.query<StoredEndpoint>(
    `select ${stored} from forge_webhooks_endpoints where tenant_id = $1 and id = $2 and deleted_at is null`,
    [tenantId, id],
  )
  return rows[0]
}

/** Locked until the transaction ends, in the order of those who deliver: first its flow, then the rest. */
export async function lockEndpoint(tx: Queryable, tenantId: string, id: string): Promise<StoredEndpoint | undefined> {
  await tx.query(
    `select 1 from forge_webhooks_flows f where endpoint_id = (
       select id from forge_webhooks_endpoints where tenant_id = $1 and id = $2) for update`,
    [tenantId, id],
  )
  const { rows } = await tx.query<StoredEndpoint>(
    `select ${stored} from forge_webhooks_endpoints where tenant_id = $1 and id = $2 and deleted_at is null for update`,
    [tenantId, id],
  )
  return rows[0]
}

export async function updateEndpoint(tx: Queryable, id: string, values: EndpointValues, now: Date): Promise<Endpoint> {
  const { rows } = await tx.query<Endpoint>(
    `update forge_webhooks_endpoints set url = $1, description = $2, events = $3, format = $4, header_names = $5, headers = $6,
       secrets = $7, rate = $8, concurrency = $9, ordered = $10, enabled = $11, disabled_reason = $12, disabled_at = $13, metadata = $14,
       version = version + 1, updated_at = $16, updated_by = $17
     where id = $15 returning ${shown}`,
    [...valuesOf(values), id, now, actorId()],
  )
  return rows[0]!
}

/** Whatever held it back is over. */
export async function resetFlow(tx: Queryable, endpointId: string): Promise<void> {
  await tx.query(
    'update forge_webhooks_flows set free_at = null, failures = 0, failing_since = null, rests_until = null where endpoint_id = $1',
    [endpointId],
  )
}

/** The endpoint itself stops being wanted: false when it was already. Its deliveries end by themselves. */
export async function disableEndpoint(tx: Queryable, id: string, reason: DisabledReason, now: Date): Promise<boolean> {
  const { rowCount } = await tx.query(
    `update forge_webhooks_endpoints set enabled = false, disabled_reason = $2, disabled_at = $3, version = version + 1, updated_at = $3,
       updated_by = null
     where id = $1 and enabled and deleted_at is null`,
    [id, reason, now],
  )
  return rowCount === 1
}

/** Secrets go with it. */
export async function softDeleteEndpoint(tx: Queryable, id: string, now: Date): Promise<void> {
  await tx.query(
    `update forge_webhooks_endpoints set deleted_at = $2, deleted_by = $3, enabled = false, secrets = '[]', headers = null, version = version + 1
     where id = $1`,
    [id, now, actorId()],
  )
}

const byId: KeysetColumn = { expression: 'id', type: 'uuid', direction: 'asc' }

export function selectEndpoints(db: Queryable, tenantId: string, page: PageRequest): Promise<Slice<Endpoint>> {
  const list = {
    select: shown,
    from: 'forge_webhooks_endpoints',
    where: 'tenant_id = $1 and deleted_at is null',
    values: [tenantId],
    order: page.order.map(({ direction }) => ({ ...byId, direction })),
    tieBreak: byId,
  }
  return selectPage<Endpoint>(db, list, page)
}

/** What a fan-out looks at. */
export interface Subscriber {
  readonly id: string
  readonly tenantId: string
  readonly events: readonly string[]
  readonly format: BodyFormat
  readonly enabled: boolean
}

/** Disabled ones too: what they miss can be recovered. */
export async function selectSubscribers(tx: Queryable, tenantIds: readonly string[]): Promise<readonly Subscriber[]> {
  const { rows } = await tx.query<Subscriber>(
    `select id, tenant_id as "tenantId", events, format, enabled from forge_webhooks_endpoints
     where tenant_id = any ($1::uuid[]) and deleted_at is null order by id`,
    [[...tenantIds]],
  )
  return rows
}
