import { withinScopes } from '../../kernel/context.ts'
import type { Actor } from '../../kernel/context.ts'
import type { PermissionSpec } from '../../kernel/plugin.ts'
import type { Access } from './access.ts'
import type { Memberships, Role } from './memberships.ts'

export interface AccessParts {
  readonly memberships: Memberships
  readonly permissions: Readonly<Record<string, PermissionSpec>>
}

/** Owners everything, members what is declared for them. Synchronous when the membership is in memory. */
export function createAccess({ memberships, permissions }: AccessParts): Access {
  const forMembers = new Set(Object.keys(permissions).filter((code) => permissions[code]?.grantedTo === 'member'))
  const grants = (role: Role | undefined, permission: string): boolean =>
    role === 'owner' || (role === 'member' && forMembers.has(permission))
  return {
    can: (actor, permission, tenantId) => {
      if (tenantId === null || !isSomebody(actor) || !withinScopes(actor, permission)) return false
      const role = memberships.roleOf(actor.id, tenantId)
      return role instanceof Promise ? role.then((known) => grants(known, permission)) : grants(role, permission)
    },
  }
}

function isSomebody(actor: Actor): actor is Actor & { readonly id: string } {
  return actor.kind !== 'anonymous' && actor.id !== null
}
