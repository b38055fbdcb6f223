import { port } from '../../kernel/plugin.ts'
import type { Port } from '../../kernel/plugin.ts'
import type { PageRequest, Slice } from '../../kernel/page.ts'
import type { Expected } from '../../kernel/precondition.ts'
import type { Queryable } from '../../primitives/db/index.ts'
import type { Role } from './memberships.ts'

/** `personal`: made at registration for one user. `team`: made on purpose, shared. */
export type TenantKind = 'personal' | 'team'

export interface Tenant {
  readonly id: string
  readonly name: string
  /** Short name for addresses; unique among living tenants. */
  readonly slug: string | null
  readonly kind: TenantKind
  /** Grows by one with every change. */
  readonly version: number
  readonly createdAt: Date
  readonly updatedAt: Date
}

/** A tenant as one of its members sees it. */
export interface JoinedTenant extends Tenant {
  readonly role: Role
}

export interface Member {
  readonly userId: string
  readonly role: Role
  readonly createdAt: Date
}

/** What a permission was given for: this user's role, as it was known when the permission was asked for. */
export interface Standing {
  readonly userId: string
  readonly role: Role | undefined
}

export interface TenantValues {
  /** 1 to 100 characters after trimming. */
  readonly name: string
  /** 3 to 63 of `a-z 0-9 -`, neither first nor last a hyphen. */
  readonly slug?: string | null
}

/**
 * Tenants and who belongs to them. Nothing here asks for permission: the routes (or the caller) do. Every
 * write takes the caller's transaction, so that a user and the personal tenant commit together.
 */
export interface Tenants {
  /** The tenant that a new user owns alone. Part of registration. */
  createPersonal(values: { readonly userId: string; readonly name: string }, tx?: Queryable): Promise<Tenant>
  /** A team, owned by `ownerId`. Throws `tenant.slug_taken`. */
  create(values: TenantValues & { readonly ownerId: string }, tx?: Queryable): Promise<Tenant>
  /** The tenant that a token names at login: the personal one, else the oldest. `null` when there is none. */
  defaultFor(userId: string, tx?: Queryable): Promise<string | null>
  /** Tenants of a user by `id`, which is by age. Default: the first 100. */
  listFor(userId: string, page?: PageRequest): Promise<Slice<JoinedTenant>>
  /** Throws `tenant.forbidden` when there is no such tenant. */
  get(tenantId: string): Promise<Tenant>
  /** Absent keys stay as they are. Throws `precondition.failed` when another version is expected. */
  update(tenantId: string, values: Partial<TenantValues>, expected?: Expected, tx?: Queryable): Promise<Tenant>
  /** Hides a team and ends all its memberships' effect. Personal tenants throw `tenant.personal`. */
  delete(tenantId: string, expected?: Expected, tx?: Queryable): Promise<void>
  /** Members of a tenant by `created_at`. Default: the first 100. Throws `tenant.forbidden` when there is no such tenant. */
  members(tenantId: string, page?: PageRequest): Promise<Slice<Member>>
  /** Throws `tenant.member_exists`. A personal tenant throws `tenant.personal`. */
  addMember(tenantId: string, userId: string, role: Role, tx?: Queryable): Promise<Member>
  /** Throws `tenant.member_not_found`, and `tenant.last_owner` rather than leave a tenant without an owner. */
  changeRole(tenantId: string, userId: string, role: Role, tx?: Queryable): Promise<Member>
  /** Throws `tenant.member_not_found` and `tenant.last_owner`. */
  removeMember(tenantId: string, userId: string, tx?: Queryable): Promise<void>
  /**
   * Runs `write` under the tenant's lock if `standing` still holds there, whatever this replica has not heard of yet.
   * So nobody who has lost his role uses the seconds that remain to bring himself back. Throws `tenant.forbidden`
   * when he has no role any more, else what `lost` makes.
   */
  whileStanding<T>(
    tenantId: string,
    standing: Standing,
    lost: () => Error,
    write: (tx: Queryable) => Promise<T>,
  ): Promise<T>
}

export const tenantsPort: Port<Tenants> = port<Tenants>('tenants', () => import('./plugin.ts').then((m) => m.tenants()))
