import { currentContext } from '../../kernel/context.ts'
import type { PageRequest, Slice } from '../../kernel/page.ts'
import { selectPage } from '../../primitives/db/index.ts'
import type { KeysetColumn, Queryable } from '../../primitives/db/index.ts'
import type { Role } from './memberships.ts'
import type { JoinedTenant, Member, Tenant } from './tenants.ts'

const tenantColumns = `t.id, t.name, t.slug, case when t.personal_of is null then 'team' else 'personal' end as kind, t.version,
  t.created_at as "createdAt", t.updated_at as "updatedAt"`
const memberColumns = `user_id as "userId", role, created_at as "createdAt"`

/** Who is stamped into the audit columns. */
const actorId = (): string | null => currentContext()?.actor.id ?? null

export async function selectRole(db: Queryable, userId: string, tenantId: string): Promise<Role | undefined> {
  const { rows } = await db.query<{ role: Role }>(
    `select m.role from forge_tenants_memberships m join forge_tenants t on t.id = m.tenant_id
     where m.user_id = $1 and m.tenant_id = $2 and t.deleted_at is null`,
    [userId, tenantId],
  )
  return rows[0]?.role
}

export interface NewTenant {
  readonly id: string
  readonly name: string
  readonly slug: string | null
  readonly personalOf: string | null
  readonly now: Date
}

export async function insertTenant(tx: Queryable, { id, name, slug, personalOf, now }: NewTenant): Promise<Tenant> {
  const { rows } = await tx.query<Tenant>(
    `insert into forge_tenants as t (id, name, slug, personal_of, created_at, created_by, updated_at, updated_by)
     values ($1, $2, $3, $4, $5, $6, $5, $6) returning ${tenantColumns}`,
    [id, name, slug, personalOf, now, actorId() ?? personalOf],
  )
  return rows[0]!
}

export async function selectTenant(db: Queryable, id: string): Promise<Tenant | undefined> {
  const { rows } = await db.query<Tenant>(
    `select ${tenantColumns} from forge_tenants t where t.id = $1 and t.deleted_at is null`,
    [id],
  )
  return rows[0]
}

/**
 * The tenant, locked until the transaction ends. Every change to a tenant or its members takes this lock first,
 * so that what is counted (owners, say) still holds at the commit.
 */
export async function lockTenant(tx: Queryable, id: string): Promise<Tenant | undefined> {
  const { rows } = await tx.query<Tenant>(
    `select ${tenantColumns} from forge_tenants t where t.id = $1 and t.deleted_at is null for update`,
    [id],
  )
  return rows[0]
}

export async function updateTenant(
  tx: Queryable,
  id: string,
  name: string,
  slug: string | null,
  now: Date,
): Promise<Tenant> {
  const { rows } = await tx.query<Tenant>(
    `update forge_tenants as t set name = $2, slug = $3, version = version + 1, updated_at = $4, updated_by = $5
     where id = $1 returning ${tenantColumns}`,
    [id, name, slug, now, actorId()],
  )
  return rows[0]!
}

export async function softDeleteTenant(tx: Queryable, id: string, now: Date): Promise<void> {
  await tx.query(`update forge_tenants set deleted_at = $2, deleted_by = $3, version = version + 1 where id = $1`, [
    id,
    now,
    actorId(),
  ])
}

/** Ids grow with time, so that their order is the order of age. */
const byId: KeysetColumn = { expression: 't.id', type: 'uuid', direction: 'asc' }

export function selectTenantsOf(db: Queryable, userId: string, page: PageRequest): Promise<Slice<JoinedTenant>> {
  const list = {
    select: `${tenantColumns}, m.role`,
    from: 'forge_tenants_memberships m join forge_tenants t on t.id = m.tenant_id',
    where: 'm.user_id = $1 and t.deleted_at is null',
    values: [userId],
    order: page.order.map(({ direction }) => ({ ...byId, direction })),
    tieBreak: byId,
  }
  return selectPage<JoinedTenant>(db, list, page)
}

/** The personal tenant if there is one, else the one joined first. */
export async function selectDefault(db: Queryable, userId: string): Promise<string | null> {
  const { rows } = await db.query<{ id: string }>(
    `select t.id from forge_tenants_memberships m join forge_tenants t on t.id = m.tenant_id
     where m.user_id = $1 and t.deleted_at is null order by t.personal_of is distinct from $1, m.created_at, t.id limit 1`,
    [userId],
  )
  return rows[0]?.id ?? null
}

export function selectMembers(db: Queryable, tenantId: string, page: PageRequest): Promise<Slice<Member>> {
  const joined: KeysetColumn = { expression: 'created_at', type: 'timestamptz', direction: 'asc' }
  const list = {
    select: memberColumns,
    from: 'forge_tenants_memberships',
    where: 'tenant_id = $1',
    values: [tenantId],
    order: page.order.map(({ direction }) => ({ ...joined, direction })),
    tieBreak: { expression: 'user_id', type: 'uuid', direction: 'asc' } as const,
  }
  return selectPage<Member>(db, list, page)
}

/** `undefined` when the user is a member already. */
export async function insertMember(
  tx: Queryable,
  tenantId: string,
  userId: string,
  role: Role,
  now: Date,
): Promise<Member | undefined> {
  const { rows } = await tx.query<Member>(
    `insert into forge_tenants_memberships (tenant_id, user_id, role, created_at, created_by, updated_at, updated_by)
     values ($1, $2, $3, $4, $5, $4, $5) on conflict do nothing returning ${memberColumns}`,
    [tenantId, userId, role, now, actorId() ?? userId],
  )
  return rows[0]
}

export async function updateRole(
  tx: Queryable,
  tenantId: string,
  userId: string,
  role: Role,
  now: Date,
): Promise<Member | undefined> {
  const { rows } = await tx.query<Member>(
    `update forge_tenants_memberships set role = $3, updated_at = $4, updated_by = $5
     where tenant_id = $1 and user_id = $2 returning ${memberColumns}`,
    [tenantId, userId, role, now, actorId()],
  )
  return rows[0]
}

export async function deleteMember(tx: Queryable, tenantId: string, userId: string): Promise<boolean> {
  const { rowCount } = await tx.query('delete from forge_tenants_memberships where tenant_id = $1 and user_id = $2', [
    tenantId,
    userId,
  ])
  return rowCount === 1
}

export async function hasOtherOwner(tx: Queryable, tenantId: string, userId: string): Promise<boolean> {
  const { rows } = await tx.query(
    `select 1 from forge_tenants_memberships where tenant_id = $1 and role = 'owner' and user_id <> $2 limit 1`,
    [tenantId, userId],
  )
  return rows.length > 0
}
