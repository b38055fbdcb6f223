import { join } from 'node:path'
import { defineErrors } from '../../kernel/errors.ts'
import type { Health, Plugin, Toolbox } from '../../kernel/plugin.ts'
import { createDb, dbPort } from './db.ts'
import type { Db } from './db.ts'
import type { DbDriver } from './driver.ts'
import { dbErrors } from './errors.ts'
import { migrationErrors } from './migrate/errors.ts'
import { dbOptions } from './options.ts'
import type { DbOptions } from './options.ts'
import { repositoryErrors } from './repository/errors.ts'

/**
 * Provides `dbPort`: DATABASE_URL when it is set, else the embedded server, else PGlite. A driver of your own
 * comes in with `database(driver)`.
 */
export function database(driver?: DbDriver): Plugin {
  const plugin: Plugin<DbOptions, Record<never, never>, Db> = {
    name: 'db',
    options: dbOptions,
    provides: dbPort,
    errors: defineErrors({ ...dbErrors.specs, ...migrationErrors.specs, ...repositoryErrors.specs }),
    setup: async (parts) => createDb(driver ?? (await chooseDriver(parts)), parts),
    start: (db) => db.start(),
    stop: (db) => db.close(),
    health: (db, signal) => ping(db, signal),
  }
  return plugin as unknown as Plugin
}

/** The driver that the options ask for; only its own code is loaded. */
export async function chooseDriver({
  options,
  clock,
  app,
  log,
}: Pick<Toolbox<DbOptions>, 'options' | 'clock' | 'app' | 'log'>): Promise<DbDriver> {
  const kind = options.driver === 'auto' && options.url !== undefined ? 'postgres' : options.driver
  if (kind === 'postgres') return postgresDriver(options, clock, app.name)
  if (kind !== 'pglite') {
    const { binariesPackage, embedded, embeddedInstalled } = await import('./drivers/embedded.ts')
    // Where packages are strictly apart, the framework does not see what the app installed.
    const config = join(app.root, 'forge.config.ts')
    const inApp = embeddedInstalled(config)
    if (kind === 'embedded' || inApp || embeddedInstalled()) {
      const { poolMax: max, poolWaitMs, preparedLimit } = options
      const { statementTimeoutMs, lockTimeoutMs, idleInTransactionTimeoutMs } = options
      return embedded({
        dir: options.dataDir ?? join(app.root, '.forge', 'postgres'),
        ...(inApp && { from: config }),
        clock,
        max,
        poolWaitMs,
        statementTimeoutMs,
        lockTimeoutMs,
        idleInTransactionTimeoutMs,
        preparedLimit,
      })
    }
    const { pgliteInstalled } = await import('./drivers/pglite.ts')
    if (!pgliteInstalled()) throw dbErrors.error('db.driver_missing', { meta: { package: binariesPackage() } })
    log.info({}, 'no embedded PostgreSQL for this machine, using PGlite')
  }
  const { pglite } = await import('./drivers/pglite.ts')
  return pglite({
    dir: options.dataDir ?? join(app.root, '.forge', 'pglite'),
    clock,
    poolWaitMs: options.poolWaitMs,
    preparedLimit: options.preparedLimit,
  })
}

async function postgresDriver(
  options: DbOptions,
  clock: Toolbox<DbOptions>['clock'],
  applicationName: string,
): Promise<DbDriver> {
  const { postgres } = await import('./drivers/postgres.ts')
  if (options.url === undefined)
    throw dbErrors.error('db.misconfigured', { meta: { reason: 'DATABASE_URL is missing' } })
  const {
    statementTimeoutMs,
    lockTimeoutMs,
    idleInTransactionTimeoutMs,
    preparedStatements,
    preparedLimit,
    startTimeoutMs,
  } = options
  return postgres({
    url: options.url.reveal(),
    directUrl: options.directUrl?.reveal(),
    replicaUrl: options.replicaUrl?.reveal(),
    replica: { maxLagMs: options.replicaMaxLagMs, maxLagBytes: options.replicaMaxLagBytes },
    max: options.poolMax,
    poolWaitMs: options.poolWaitMs,
    statementTimeoutMs,
    lockTimeoutMs,
    idleInTransactionTimeoutMs,
    preparedStatements,
    preparedLimit,
    startTimeoutMs,
    applicationName,
    clock,
  })
}

async function ping(db: Db, signal: AbortSignal): Promise<Health> {
  const late = new Promise<never>((_, reject) => {
    const stop = (): void => reject(signal.reason as Error)
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop, { once: true })
  })
  try {
    await Promise.race([db.query('select 1', []), late])
    return { ok: true }
  } catch {
    return { ok: false, detail: 'unreachable' }
  }
}
