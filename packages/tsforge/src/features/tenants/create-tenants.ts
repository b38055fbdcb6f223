import type { Clock } from '../../kernel/clock.ts'
import { isUuid, uuidv7 } from '../../kernel/ids.ts'
import type { PageRequest, Slice } from '../../kernel/page.ts'
import { allows, preconditionErrors } from '../../kernel/precondition.ts'
import type { Expected } from '../../kernel/precondition.ts'
import { tell, violatedUnique, within } from '../../primitives/db/index.ts'
import type { Db, Queryable } from '../../primitives/db/index.ts'
import { tenantsErrors } from './errors.ts'
import { memberChanged, tenantCreated, tenantDeleted, tenantUpdated } from './events.ts'
import type { Memberships, Role } from './memberships.ts'
import { personalName, readName, readSlug } from './naming.ts'
import * as repository from './tenants-repository.ts'
import type { JoinedTenant, Member, Standing, Tenant, Tenants, TenantValues } from './tenants.ts'

const firstTenants: PageRequest = { limit: 100, order: [{ column: 'id', direction: 'asc' }] }
const firstMembers: PageRequest = { limit: 100, order: [{ column: 'created_at', direction: 'asc' }] }

export interface TenantsParts {
  readonly db: Db
  readonly clock: Clock
  readonly memberships: Memberships
}

export function createTenants(parts: TenantsParts): Tenants {
  return new StoredTenants(parts)
}

class StoredTenants implements Tenants {
  readonly #db: Db
  readonly #clock: Clock
  readonly #memberships: Memberships

  constructor({ db, clock, memberships }: TenantsParts) {
    this.#db = db
    this.#clock = clock
    this.#memberships = memberships
  }

  createPersonal(
    { userId, name }: { readonly userId: string; readonly name: string },
    tx?: Queryable,
  ): Promise<Tenant> {
    return this.#create({ name: personalName(name), slug: null, ownerId: userId, personalOf: userId }, tx)
  }

  create({ name, slug, ownerId }: TenantValues & { readonly ownerId: string }, tx?: Queryable): Promise<Tenant> {
    return this.#create({ name: readName(name), slug: readSlug(slug), ownerId, personalOf: null }, tx)
  }

  #create(
    values: {
      readonly name: string
      readonly slug: string | null
      readonly ownerId: string
      readonly personalOf: string | null
    },
    outer: Queryable | undefined,
  ): Promise<Tenant> {
    const { name, slug, ownerId, personalOf } = values
    return unlessTaken(() =>
      within(this.#db, outer, async (tx) => {
        const now = this.#now()
        const tenant = await repository.insertTenant(tx, { id: uuidv7(), name, slug, personalOf, now })
        await repository.insertMember(tx, tenant.id, ownerId, 'owner', now)
        tell(tx, tenantCreated, { tenantId: tenant.id })
        return tenant
      }),
    )
  }

  defaultFor(userId: string, tx: Queryable = this.#db): Promise<string | null> {
    return repository.selectDefault(tx, userId)
  }

  listFor(userId: string, page: PageRequest = firstTenants): Promise<Slice<JoinedTenant>> {
    return repository.selectTenantsOf(this.#db, userId, page)
  }

  async get(tenantId: string): Promise<Tenant> {
    return found(isUuid(tenantId) ? await repository.selectTenant(this.#db, tenantId) : undefined)
  }

  update(tenantId: string, values: Partial<TenantValues>, expected?: Expected, outer?: Queryable): Promise<Tenant> {
    const name = values.name === undefined ? undefined : readName(values.name)
    const slug = values.slug === undefined ? undefined : readSlug(values.slug)
    return unlessTaken(() =>
      within(this.#db, outer, async (tx) => {
        const tenant = await this.#lock(tx, tenantId, expected)
        const changed = await repository.updateTenant(
          tx,
          tenantId,
          name ?? tenant.name,
          slug === undefined ? tenant.slug : slug,
          this.#now(),
        )
        tell(tx, tenantUpdated, { tenantId })
        return changed
      }),
    )
  }

  delete(tenantId: string, expected?: Expected, outer?: Queryable): Promise<void> {
    return within(this.#db, outer, async (tx) => {
      refusePersonal(await this.#lock(tx, tenantId, expected))
      await repository.softDeleteTenant(tx, tenantId, this.#now())
      await this.#memberships.changed(tenantId, tx)
      tell(tx, tenantDeleted, { tenantId })
    })
  }

  async members(tenantId: string, page: PageRequest = firstMembers): Promise<Slice<Member>> {
    await this.get(tenantId)
    return repository.selectMembers(this.#db, tenantId, page)
  }

  addMember(tenantId: string, userId: string, role: Role, outer?: Queryable): Promise<Member> {
    return within(this.#db, outer, async (tx) => {
      refusePersonal(await this.#lock(tx, tenantId))
      const member = await repository.insertMember(tx, tenantId, userId, role, this.#now())
      if (member === undefined) throw tenantsErrors.error('tenant.member_exists')
      return this.#memberChanged(tx, tenantId, userId, role, member)
    })
  }

  changeRole(tenantId: string, userId: string, role: Role, outer?: Queryable): Promise<Member> {
    return within(this.#db, outer, async (tx) => {
      await this.#lock(tx, tenantId)
      if (role !== 'owner') await this.#keepAnOwner(tx, tenantId, userId)
      const member = await repository.updateRole(tx, tenantId, userId, role, this.#now())
      if (member === undefined) throw tenantsErrors.error('tenant.member_not_found')
      return this.#memberChanged(tx, tenantId, userId, role, member)
    })
  }

  removeMember(tenantId: string, userId: string, outer?: Queryable): Promise<void> {
    return within(this.#db, outer, async (tx) => {
      await this.#lock(tx, tenantId)
      await this.#keepAnOwner(tx, tenantId, userId)
      if (!(await repository.deleteMember(tx, tenantId, userId))) throw tenantsErrors.error('tenant.member_not_found')
      await this.#memberChanged(tx, tenantId, userId, null, undefined)
    })
  }

  whileStanding<T>(
    tenantId: string,
    { userId, role }: Standing,
    lost: () => Error,
    write: (tx: Queryable) => Promise<T>,
  ): Promise<T> {
    return this.#db.tx(async (tx) => {
      await this.#lock(tx, tenantId)
      const now = await repository.selectRole(tx, userId, tenantId)
      if (now !== role && now !== 'owner') throw now === undefined ? tenantsErrors.error('tenant.forbidden') : lost()
      return write(tx)
    })
  }

  async #lock(tx: Queryable, tenantId: string, expected: Expected = {}): Promise<Tenant> {
    const tenant = found(isUuid(tenantId) ? await repository.lockTenant(tx, tenantId) : undefined)
    if (!allows(expected, tenant.version)) {
      throw preconditionErrors.error('precondition.failed', { meta: { current_version: tenant.version } })
    }
    return tenant
  }

  /**
   * There is always an owner, so one who is no other is this user. Holds until the commit, because all changes of
   * one tenant stand in line behind its lock.
   */
  async #keepAnOwner(tx: Queryable, tenantId: string, userId: string): Promise<void> {
    if (!(await repository.hasOtherOwner(tx, tenantId, userId))) throw tenantsErrors.error('tenant.last_owner')
  }

  async #memberChanged<T>(tx: Queryable, tenantId: string, userId: string, role: Role | null, result: T): Promise<T> {
    await this.#memberships.changed(tenantId, tx)
    tell(tx, memberChanged, { tenantId, userId, role })
    return result
  }

  #now(): Date {
    return new Date(this.#clock.now())
  }
}

function found(tenant: Tenant | undefined): Tenant {
  if (tenant === undefined) throw tenantsErrors.error('tenant.forbidden')
  return tenant
}

function refusePersonal(tenant: Tenant): void {
  if (tenant.kind === 'personal') throw tenantsErrors.error('tenant.personal')
}

async function unlessTaken<T>(write: () => Promise<T>): Promise<T> {
  try {
    return await write()
  } catch (error) {
    if (violatedUnique(error) === 'forge_tenants_slug') throw tenantsErrors.error('tenant.slug_taken', { cause: error })
    throw error
  }
}
