import { randomUUID } from 'node:crypto'
import type { Clock } from '../../../kernel/clock.ts'
import { systemClock } from '../../../kernel/clock.ts'
import type { MigrationSource } from '../../../kernel/plugin.ts'
import type { Db } from '../../../primitives/db/index.ts'
import type { TestDb } from '../../../testing/db.ts'
import { createQuota } from '../create-quota.ts'
import type { StoredQuota } from '../create-quota.ts'
import { createPlanBook, definePlan } from '../plans.ts'
import type { Plan } from '../plans.ts'
import type { QuotaSubject } from '../quota.ts'

export const migrations: readonly MigrationSource[] = [
  { module: 'quota', directory: new URL('../migrations/', import.meta.url) },
]

export const free: Plan = definePlan({
  name: 'free',
  quotas: {
    'api.requests': [
      { limit: 10, per: 'minute' },
      { limit: 25, per: 'month' },
    ],
    exports: [{ limit: 100, per: 'month' }],
    seats: false,
    storage: [{ limit: 50, per: 'day', soft: true }],
    keys: [
      { limit: 10, per: 'month' },
      { limit: 4, per: 'month', each: 'api_key' },
    ],
  },
  open: true,
})
export const pro: Plan = definePlan({
  name: 'pro',
  quotas: {
    'api.requests': [
      { limit: 100, per: 'minute' },
      { limit: 1000, per: 'month' },
    ],
    exports: [{ limit: 200, per: 'month' }],
    seats: [{ limit: 'unlimited', per: 'month' }],
    storage: [{ limit: 500, per: 'day', soft: true }],
    keys: [{ limit: 'unlimited', per: 'month' }],
  },
  rates: { burst: { limit: 50, window: '1s' } },
})

export interface QuotaInput {
  readonly time?: Clock
  readonly plans?: readonly Plan[]
}

export function quotaOn(db: Db, { time, plans = [free, pro] }: QuotaInput = {}): StoredQuota {
  return createQuota({
    db,
    book: createPlanBook(plans, plans[0]!.name),
    clock: systemClock,
    leaseMs: 300_000,
    ...(time !== undefined && { time }),
  })
}

export const someTenant = (): QuotaSubject & { kind: 'tenant' } => ({ kind: 'tenant', id: randomUUID() })
export const keyOf = (tenant: { readonly id: string }): QuotaSubject => ({
  kind: 'api_key',
  id: randomUUID(),
  tenantId: tenant.id,
})

/** Another pool, as another replica has it. PGlite has one connection, which two clients cannot share at once. */
export const second = (db: TestDb): Db => (db.url === undefined ? db : db.another())
