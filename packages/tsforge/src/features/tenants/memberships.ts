import { port } from '../../kernel/plugin.ts'
import type { Port } from '../../kernel/plugin.ts'
import type { Queryable } from '../../primitives/db/index.ts'

/** `owner` may do everything in the tenant, `member` what its permissions say. */
export type Role = 'owner' | 'member'

/**
 * Answers who belongs where, from memory where it can. An answer is at most 5 s old on every replica, and
 * normally milliseconds: changes are announced by NOTIFY.
 */
export interface Memberships {
  /** The user's role, or `undefined` for a stranger, an unknown and a deleted tenant alike. */
  roleOf(userId: string, tenantId: string): Role | undefined | Promise<Role | undefined>
  /** Tells every replica to forget what it knows of a tenant. Part of the transaction that makes the change. */
  changed(tenantId: string, tx: Queryable): Promise<void>
}

export const membershipsPort: Port<Memberships> = port<Memberships>('memberships', () =>
  import('./plugin.ts').then((m) => m.memberships()),
)
