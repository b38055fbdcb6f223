import type { Clock } from '../kernel/clock.ts'
import type { Log } from '../kernel/log.ts'
import type { Db } from '../primitives/db/index.ts'
import { createMigrator } from '../primitives/db/migrate/index.ts'
import type { Migrator } from '../primitives/db/migrate/index.ts'
import type { PostgresOptions } from '../primitives/db/drivers/postgres.ts'
import type { DbOptions } from '../primitives/db/options.ts'
import { hostErrors } from './errors.ts'
import type { Plan } from './plan.ts'

/** What the migrator of an app needs of it; an `App` fits. */
export interface Migratable {
  readonly plan: Plan
  readonly db: Db
  readonly clock: Clock
  readonly log: Log
}

/** The migrator of an app: all its migrations against its database, over the direct URL when there is one. */
export function migratorOf({ plan, db, clock, log }: Migratable): Migrator {
  const { directUrl, startTimeoutMs } = (plan.options['db'] ?? {}) as Partial<DbOptions>
  const direct = (url: string): PostgresOptions => ({
    url,
    max: 1,
    clock,
    ...(startTimeoutMs !== undefined && { startTimeoutMs }),
  })
  return createMigrator({
    connect: directUrl === undefined ? () => db.connect() : () => directSession(direct(directUrl.reveal()), log),
    sources: plan.migrations,
    clock,
    log,
  })
}

/** A pooler in transaction mode would lend the session to others, the migration lock with it. */
async function directSession(options: PostgresOptions, log: Log): ReturnType<Db['connect']> {
  const { postgres } = await import('../primitives/db/drivers/postgres.ts')
  const driver = postgres(options)
  const close = (): void =>
    void driver.close().catch((error: unknown) => log.warn({ err: error }, 'a session for migrations did not close'))
  // The pooler may be up long before the server itself.
  const session = await driver
    .start()
    .then(() => driver.connect())
    .catch((error: unknown) => {
      close()
      throw error
    })
  return {
    query: (text, values) => session.query(text, values),
    pipeline: (statements) => session.pipeline(statements),
    release: (broken) => {
      session.release(broken)
      close()
    },
  }
}

/**
 * What happens to pending migrations at start, as `FORGE_MIGRATE` says. In production the default only checks:
 * changing a schema is a step of a release and not a side effect of a restart.
 */
export async function migrateAtStart(app: Migratable): Promise<void> {
  const { host, app: info, migrations } = app.plan
  const mode = host.migrate ?? (info.environment === 'production' ? 'check' : 'auto')
  if (mode === 'off' || migrations.length === 0) return
  const { steps } = await migratorOf(app).up({ dryRun: mode === 'check' })
  if (mode === 'auto' || steps.length === 0) return
  const names = steps.map((step) => step.id)
  throw hostErrors.error('boot.migrations_pending', {
    meta: { count: names.length, names: names.length > 3 ? [...names.slice(0, 3), '…'] : names },
  })
}
