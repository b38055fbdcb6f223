import type { PageRequest, Slice } from '../../kernel/page.ts'
import { selectPage } from '../../primitives/db/index.ts'
import type { KeysetColumn, Queryable } from '../../primitives/db/index.ts'
import type { Suppression } from './mail.ts'

const columns = `id, tenant_id as "tenantId", address, category, reason, detail, created_at as "createdAt"`

export async function insertSuppression(
  db: Queryable,
  { id, tenantId, address, category, reason, detail, createdAt }: Suppression,
  by: string | null,
): Promise<boolean> {
  const { rowCount } = await db.query(
    `insert into forge_mail_suppressions (id, tenant_id, address, category, reason, detail, created_at, created_by)
     values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing`,
    [id, tenantId, address, category, reason, detail, createdAt, by],
  )
  return rowCount === 1
}

export async function selectEntry(
  db: Queryable,
  { tenantId, address, category }: Pick<Suppression, 'tenantId' | 'address' | 'category'>,
): Promise<Suppression | undefined> {
  const { rows } = await db.query<Suppression>(
    `select ${columns} from forge_mail_suppressions
     where address = $1 and tenant_id is not distinct from $2::uuid and category is not distinct from $3::text`,
    [address, tenantId, category],
  )
  return rows[0]
}

/** Which of the addresses (in lower case) may not get a mail of this kind. */
export async function selectSuppressed(
  db: Queryable,
  addresses: readonly string[],
  category: string | null,
  tenantId: string | null,
): Promise<readonly string[]> {
  const { rows } = await db.query<{ address: string }>(
    `select distinct address from forge_mail_suppressions
     where address = any($1) and (tenant_id is null or tenant_id = $2::uuid) and (category is null or category = $3::text)`,
    [addresses, tenantId, category],
  )
  return rows.map(({ address }) => address)
}

/** With `null` the entries that hold for all tenants. */
export async function deleteSuppression(db: Queryable, tenantId: string | null, id: string): Promise<boolean> {
  const { rowCount } = await db.query(
    'delete from forge_mail_suppressions where id = $1 and tenant_id is not distinct from $2::uuid',
    [id, tenantId],
  )
  return rowCount === 1
}

export function selectSuppressions(
  db: Queryable,
  tenantId: string | null,
  page: PageRequest,
): Promise<Slice<Suppression>> {
  const created: KeysetColumn = { expression: 'created_at', type: 'timestamptz', direction: 'desc' }
  const list = {
    select: columns,
    from: 'forge_mail_suppressions',
    ...(tenantId === null
      ? { where: 'tenant_id is null', values: [] }
      : { where: 'tenant_id = $1', values: [tenantId] }),
    order: page.order.map(({ direction }) => ({ ...created, direction })),
    tieBreak: { expression: 'id', type: 'uuid', direction: 'desc' } as const,
  }
  return selectPage<Suppression>(db, list, page)
}
