import { created, noContent } from '../../http/answer.ts'
import type { Cursors } from '../../http/cursors.ts'
import { httpErrors } from '../../http/errors.ts'
import type { PermissionSpec } from '../../http/feature.ts'
import { definePage, pageOf, pageQuery, pageSchema, parsePage } from '../../http/pagination.ts'
import { route } from '../../http/route.ts'
import type { Call, Route } from '../../http/route.ts'
import { nullable, Timestamp, Type, Uuid } from '../../http/schema.ts'
import type { Static } from '../../http/schema.ts'
import { withinScopes } from '../../kernel/context.ts'
import type { Queryable } from '../../primitives/db/index.ts'
import type { Access } from './access.ts'
import { tenantsErrors } from './errors.ts'
import type { Memberships } from './memberships.ts'
import type { JoinedTenant, Member, Standing, Tenant, Tenants } from './tenants.ts'

type Permission = 'tenants.read' | 'tenants.manage' | 'members.read' | 'members.manage'

export const tenantPermissions: Readonly<Record<Permission, PermissionSpec>> = {
  'tenants.read': { description: { en: 'See a tenant', id: 'Melihat tenant' }, grantedTo: 'member' },
  'tenants.manage': { description: { en: 'Rename or delete a tenant', id: 'Mengganti nama atau menghapus tenant' } },
  'members.read': {
    description: { en: 'See the members of a tenant', id: 'Melihat anggota tenant' },
    grantedTo: 'member',
  },
  'members.manage': {
    description: { en: 'Add, change and remove members', id: 'Menambah, mengubah, dan menghapus anggota' },
  },
}

/** The service as its routes need it. */
export interface TenantsRoom extends Tenants {
  readonly access: Access
  readonly memberships: Memberships
  readonly cursors: Cursors
}

const Role = Type.Union([Type.Literal('owner'), Type.Literal('member')])
const Name = Type.String({ minLength: 1, maxLength: 100 })
const Slug = nullable(Type.String({ pattern: '^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$' }))

const tenantProperties = {
  id: Uuid,
  name: Type.String(),
  slug: nullable(Type.String()),
  kind: Type.Union([Type.Literal('personal'), Type.Literal('team')]),
  version: Type.Integer(),
  created_at: Timestamp,
  updated_at: Timestamp,
}
const TenantData = Type.Object(tenantProperties, { $id: 'Tenant' })
const JoinedTenantData = Type.Object({ ...tenantProperties, role: Role }, { $id: 'JoinedTenant' })
const MemberData = Type.Object({ user_id: Uuid, role: Role, created_at: Timestamp }, { $id: 'Member' })

const tenantPages = definePage({ name: 'tenants', sort: ['id'] })
const memberPages = definePage({ name: 'members', sort: ['created_at'] })

const TenantParams = Type.Object({ id: Uuid })
const MemberParams = Type.Object({ id: Uuid, user_id: Uuid })

/**
 * Routes work in the tenant of the path and nowhere else: the permission is asked for the very id that is then
 * read or written. X-Tenant-ID is not looked at, so nobody can be checked in one tenant and write in another.
 */
export function tenantsRoutes(room: TenantsRoom): readonly Route[] {
  const shared = { tags: ['tenants'], access: 'authenticated', tenant: 'none' } as const
  const guarded = ['tenant.forbidden', 'access.denied'] as const
  const need = (call: Call, permission: Permission, tenantId: string) => demand(room, call, permission, tenantId)
  const change = async <T>(
    call: Call,
    permission: Permission,
    tenantId: string,
    write: (tx: Queryable) => Promise<T>,
  ): Promise<T> => {
    const standing = await need(call, permission, tenantId)
    return room.whileStanding(tenantId, standing, () => denied(permission), write)
  }

  return [
    route({
      ...shared,
      method: 'GET',
      url: '/api/v1/tenants',
      id: 'listTenants',
      summary: 'My tenants, oldest first',
      query: Type.Object(pageQuery),
      data: pageSchema(JoinedTenantData),
      errors: ['access.denied'],
      handler: async (call) => {
        const userId = user(call, 'tenants.read')
        const page = parsePage(call.query, tenantPages, room.cursors, { userId })
        return pageOf(await room.listFor(userId, page), page, joinedTenantData)
      },
    }),
    route({
      ...shared,
      method: 'POST',
      url: '/api/v1/tenants',
      id: 'createTenant',
      summary: 'Create a team, owned by me',
      body: Type.Object({ name: Name, slug: Type.Optional(Slug) }),
      status: 201,
      data: TenantData,
      etag: 'version',
      errors: ['access.denied', 'tenant.slug_taken', 'tenant.invalid_name'],
      handler: async (call) => {
        const ownerId = user(call, 'tenants.manage')
        const tenant = await room.create({ ...call.body, ownerId })
        return created(tenantData(tenant), { location: `/api/v1/tenants/${tenant.id}` })
      },
    }),
    route({
      ...shared,
      method: 'GET',
      url: '/api/v1/tenants/:id',
      id: 'getTenant',
      summary: 'One tenant of mine',
      params: TenantParams,
      data: TenantData,
      etag: 'version',
      errors: guarded,
      handler: async (call) => {
        await need(call, 'tenants.read', call.params.id)
        return tenantData(await room.get(call.params.id))
      },
    }),
    route({
      ...shared,
      method: 'PATCH',
      url: '/api/v1/tenants/:id',
      id: 'updateTenant',
      summary: 'Rename a tenant',
      description: 'Keys that are absent stay as they are.',
      params: TenantParams,
      body: Type.Object({ name: Type.Optional(Name), slug: Type.Optional(Slug) }, { minProperties: 1 }),
      precondition: 'optional',
      data: TenantData,
      etag: 'version',
      errors: [...guarded, 'tenant.slug_taken', 'tenant.invalid_name'],
      handler: async (call) => {
        const { id } = call.params
        return tenantData(
          await change(call, 'tenants.manage', id, (tx) => room.update(id, call.body, call.expected, tx)),
        )
      },
    }),
    route({
      ...shared,
      method: 'DELETE',
      url: '/api/v1/tenants/:id',
      id: 'deleteTenant',
      summary: 'Delete a team',
      params: TenantParams,
      precondition: 'optional',
      data: null,
      errors: [...guarded, 'tenant.personal'],
      handler: async (call) => {
        const { id } = call.params
        await change(call, 'tenants.manage', id, (tx) => room.delete(id, call.expected, tx))
        return noContent()
      },
    }),
    route({
      ...shared,
      method: 'GET',
      url: '/api/v1/tenants/:id/members',
      id: 'listMembers',
      summary: 'Members of a tenant, oldest first',
      params: TenantParams,
      query: Type.Object(pageQuery),
      data: pageSchema(MemberData),
      errors: guarded,
      handler: async (call) => {
        const { id } = call.params
        await need(call, 'members.read', id)
        const page = parsePage(call.query, memberPages, room.cursors, { tenantId: id.toLowerCase() })
        return pageOf(await room.members(id, page), page, memberData)
      },
    }),
    route({
      ...shared,
      method: 'POST',
      url: '/api/v1/tenants/:id/members',
      id: 'addMember',
      summary: 'Add a user to a team',
      params: TenantParams,
      body: Type.Object({ user_id: Uuid, role: Type.Optional(Role) }),
      status: 201,
      data: MemberData,
      errors: [...guarded, 'tenant.personal', 'tenant.member_exists'],
      handler: async (call) => {
        const { id } = call.params
        const { user_id: userId, role = 'member' } = call.body
        const member = await change(call, 'members.manage', id, (tx) => room.addMember(id, userId, role, tx))
        return created(memberData(member), { location: `/api/v1/tenants/${id}/members/${member.userId}` })
      },
    }),
    route({
      ...shared,
      method: 'PATCH',
      url: '/api/v1/tenants/:id/members/:user_id',
      id: 'changeMemberRole',
      summary: 'Make a member an owner, or an owner a member',
      params: MemberParams,
      body: Type.Object({ role: Role }),
      data: MemberData,
      errors: [...guarded, 'tenant.member_not_found', 'tenant.last_owner'],
      handler: async (call) => {
        const { id, user_id: userId } = call.params
        return memberData(
          await change(call, 'members.manage', id, (tx) => room.changeRole(id, userId, call.body.role, tx)),
        )
      },
    }),
    route({
      ...shared,
      method: 'DELETE',
      url: '/api/v1/tenants/:id/members/:user_id',
      id: 'removeMember',
      summary: 'Remove a member, or leave',
      params: MemberParams,
      data: null,
      errors: [...guarded, 'tenant.member_not_found', 'tenant.last_owner'],
      handler: async (call) => {
        const { id, user_id: userId } = call.params
        // Everybody may leave by himself.
        const permission = sameId(call.actor.id, userId) ? 'members.read' : 'members.manage'
        await change(call, permission, id, (tx) => room.removeMember(id, userId, tx))
        return noContent()
      },
    }),
  ]
}

/** The signed-in user, when the credential covers `permission`. For what belongs to the user and to no tenant yet. */
function user({ actor }: Pick<Call, 'actor'>, permission: Permission): string {
  if (actor.id === null || !withinScopes(actor, permission)) throw denied(permission)
  return actor.id
}

/** Members learn what they lack; strangers get the same answer for every tenant, whether it exists or not. */
async function demand(
  { access, memberships }: TenantsRoom,
  { actor }: Call,
  permission: Permission,
  tenantId: string,
): Promise<Standing> {
  if (actor.id === null) throw tenantsErrors.error('tenant.forbidden')
  // Before the question: should it change in between, it is the older role that has to be found again.
  const role = await memberships.roleOf(actor.id, tenantId)
  const allowed = withinScopes(actor, permission) && (await access.can(actor, permission, tenantId)) === true
  if (allowed) return { userId: actor.id, role }
  throw role === undefined ? tenantsErrors.error('tenant.forbidden') : denied(permission)
}

function denied(permission: Permission): Error {
  return httpErrors.error('access.denied', { meta: { permission } })
}

function sameId(a: string | null, b: string): boolean {
  return a?.toLowerCase() === b.toLowerCase()
}

function tenantData(tenant: Tenant): Static<typeof TenantData> {
  const { id, name, slug, kind, version, createdAt, updatedAt } = tenant
  return { id, name, slug, kind, version, created_at: createdAt, updated_at: updatedAt }
}

function joinedTenantData(tenant: JoinedTenant): Static<typeof JoinedTenantData> {
  return { ...tenantData(tenant), role: tenant.role }
}

function memberData({ userId, role, createdAt }: Member): Static<typeof MemberData> {
  return { user_id: userId, role, created_at: createdAt }
}
