import { vi } from 'vitest'
import { systemClock } from '../../../kernel/clock.ts'
import { silentLog } from '../../../kernel/log.ts'
import type { MigrationSource } from '../../../kernel/plugin.ts'
import { createTestDatabase } from '../../../testing/database.ts'
import { isPglite } from '../../../testing/server.ts'
import { pglite } from '../../db/drivers/pglite.ts'
import { postgres } from '../../db/drivers/postgres.ts'
import { createDb } from '../../db/index.ts'
import type { Db } from '../../db/index.ts'
import { createMigrator } from '../../db/migrate/index.ts'

export interface Replicas extends AsyncDisposable {
  /** A database facade as another replica would have it. On PGlite, which has one connection, it is always the same. */
  connect(): Db
}

/** A migrated database and any number of ways into it. */
export async function replicasOf(...sources: readonly MigrationSource[]): Promise<Replicas> {
  const open: Db[] = []
  const close = async (): Promise<void> => void (await Promise.all(open.map((db) => db.close())))
  if (isPglite()) {
    const driver = pglite({})
    await createMigrator({ connect: () => driver.connect(), sources, clock: systemClock, log: silentLog }).up()
    const db = createDb(driver)
    open.push(db)
    return { connect: () => db, [Symbol.asyncDispose]: close }
  }
  const database = await createTestDatabase(sources)
  return {
    connect: () => {
      // Many wait for a connection at once, on a machine that may be busy.
      const db = createDb(postgres({ url: database.url, poolWaitMs: 60_000, lockTimeoutMs: 60_000 }))
      open.push(db)
      return db
    },
    [Symbol.asyncDispose]: async () => {
      await close()
      await database[Symbol.asyncDispose]()
    },
  }
}

/** The same facade with another `query`: to count statements, hold or fail them. */
export function withQuery(db: Db, query: (text: string, values?: unknown[]) => Promise<unknown>): Db {
  return new Proxy(db, {
    get: (target, key) => {
      if (key === 'query') return query
      const value: unknown = Reflect.get(target, key)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

/** Repeats `check` until it passes: for what another connection brings. Patient, since a busy machine proves nothing. */
export function eventually(check: () => Promise<unknown>): Promise<unknown> {
  return vi.waitFor(check, { timeout: 20_000, interval: 20 })
}
