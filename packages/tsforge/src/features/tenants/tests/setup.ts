import { randomUUID } from 'node:crypto'
import type { Actor } from '../../../kernel/context.ts'
import type { Clock } from '../../../kernel/clock.ts'
import { silentLog } from '../../../kernel/log.ts'
import type { Db } from '../../../primitives/db/index.ts'
import { createAccess } from '../create-access.ts'
import type { Access } from '../access.ts'
import { createMemberships } from '../create-memberships.ts'
import type { RunningMemberships } from '../create-memberships.ts'
import { createTenants } from '../create-tenants.ts'
import { tenantPermissions } from '../routes.ts'
import type { Tenants } from '../tenants.ts'

/** One replica's services. */
export interface Replica {
  readonly db: Db
  readonly memberships: RunningMemberships
  readonly tenants: Tenants
  readonly access: Access
}

export function replica(db: Db, clock: Clock, cacheEntries: number = 1000): Replica {
  const memberships = createMemberships({ db, clock, log: silentLog, options: { cacheTtlMs: 4000, cacheEntries } })
  return {
    db,
    memberships,
    tenants: createTenants({ db, clock, memberships }),
    access: createAccess({ memberships, permissions: { ...tenantPermissions, 'notes.write': { description: 'x' } } }),
  }
}

export const userActor = (id: string, more: Partial<Actor> = {}): Actor => ({ kind: 'user', id, ...more })
export const someone = (): string => randomUUID()
