import type { Actor } from '../../kernel/context.ts'
import { tenantsErrors } from './errors.ts'
import type { Memberships, Role } from './memberships.ts'

/** Lets members in. Unknown, deleted and foreign tenants give one and the same answer. */
export function tenantGate(memberships: Memberships): (actor: Actor, tenantId: string) => void | Promise<void> {
  const admit = (role: Role | undefined): void => {
    if (role === undefined) throw tenantsErrors.error('tenant.forbidden')
  }
  return (actor, tenantId) => {
    const role = actor.id === null ? undefined : memberships.roleOf(actor.id, tenantId)
    return role instanceof Promise ? role.then(admit) : admit(role)
  }
}
