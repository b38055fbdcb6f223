import { createCursors } from '../../http/cursors.ts'
import { defineFeature } from '../../http/feature.ts'
import type { Feature } from '../../http/feature.ts'
import type { Port } from '../../kernel/plugin.ts'
import { dbPort } from '../../primitives/db/index.ts'
import { accessPort } from './access.ts'
import type { Access } from './access.ts'
import { createAccess } from './create-access.ts'
import { createMemberships } from './create-memberships.ts'
import type { RunningMemberships } from './create-memberships.ts'
import { createTenants } from './create-tenants.ts'
import { tenantsErrors } from './errors.ts'
import { membershipsPort } from './memberships.ts'
import { membershipsOptions } from './options.ts'
import type { MembershipsOptions } from './options.ts'
import { tenantPermissions, tenantsRoutes } from './routes.ts'
import type { TenantsRoom } from './routes.ts'
import { tenantGate } from './tenant-gate.ts'
import { tenantsPort } from './tenants.ts'

/** Tenants with owners and members, a personal one for each user, and their routes. Brings `memberships` and `access`. */
export function tenants(): Feature {
  return defineFeature({
    name: 'tenants',
    needs: { db: dbPort, memberships: membershipsPort, access: accessPort },
    provides: tenantsPort as Port<TenantsRoom>,
    errors: tenantsErrors,
    permissions: tenantPermissions,
    setup: ({ db, clock, secrets, memberships, access }): TenantsRoom =>
      Object.assign(createTenants({ db, clock, memberships }), {
        access,
        memberships,
        cursors: createCursors(secrets),
      }),
    routes: tenantsRoutes,
    tenantGate: ({ memberships }) => tenantGate(memberships),
  })
}

/** Who belongs where: the tables of tenants, and a cache that every replica keeps fresh. */
export function memberships(): Feature {
  return defineFeature<MembershipsOptions, { readonly db: typeof dbPort }, RunningMemberships>({
    name: 'memberships',
    options: membershipsOptions,
    needs: { db: dbPort },
    provides: membershipsPort as Port<RunningMemberships>,
    migrations: { module: 'tenants', directory: new URL('./migrations/', import.meta.url) },
    setup: ({ db, options, clock, log }) => createMemberships({ db, options, clock, log }),
    start: (service) => service.start(),
    stop: (service) => service.stop(),
  })
}

/** The default authorizer. An app that lists another provider of `accessPort` does without it. */
export function access(): Feature {
  return defineFeature({
    name: 'access',
    needs: { memberships: membershipsPort },
    provides: accessPort,
    setup: ({ memberships: known, permissions }): Access => createAccess({ memberships: known, permissions }),
    authorizer: (service) => (actor, permission, tenantId) => service.can(actor, permission, tenantId),
  })
}
