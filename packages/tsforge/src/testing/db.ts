import type { Feature } from '../http/feature.ts'
import { systemClock } from '../kernel/clock.ts'
import type { Clock } from '../kernel/clock.ts'
import { silentLog } from '../kernel/log.ts'
import type { MigrationSource } from '../kernel/plugin.ts'
import { pglite } from '../primitives/db/drivers/pglite.ts'
import { postgres } from '../primitives/db/drivers/postgres.ts'
import { createDb } from '../primitives/db/index.ts'
import type { Db, DbDriver } from '../primitives/db/index.ts'
import { createMigrator } from '../primitives/db/migrate/index.ts'
import { database } from '../primitives/db/plugin.ts'
import { createTestDatabase } from './database.ts'
import { borrowPglite } from './pglite-pool.ts'
import { isPglite } from './server.ts'

/** Where a test app keeps its data: settings that lead there, or a database part of its own. */
export interface Storage extends AsyncDisposable {
  readonly url: string | undefined
  readonly env: Readonly<Record<string, string>>
  readonly features: readonly Feature[]
}

/** For apps without a database. */
export const noStorage: Storage = { url: undefined, env: {}, features: [], [Symbol.asyncDispose]: async () => {} }

/** A fresh database with the migrations applied (on PGlite the app applies them itself). */
export async function openStorage(migrations: readonly MigrationSource[], url?: string): Promise<Storage> {
  if (url !== undefined) return { url, env: { DATABASE_URL: url }, features: [], [Symbol.asyncDispose]: async () => {} }
  if (!isPglite()) {
    const fresh = await createTestDatabase(migrations)
    return {
      url: fresh.url,
      env: { DATABASE_URL: fresh.url },
      features: [],
      [Symbol.asyncDispose]: () => fresh[Symbol.asyncDispose](),
    }
  }
  const borrowed = await borrowPglite()
  return {
    url: undefined,
    env: {},
    features: [database(pglite({ pglite: borrowed.pglite })) as Feature],
    [Symbol.asyncDispose]: () => borrowed[Symbol.asyncDispose](),
  }
}

export interface TestDbInput {
  /** Applied before the test gets the database. */
  readonly migrations?: readonly MigrationSource[]
  /** For retries and time limits of the facade. Default: the machine's. */
  readonly clock?: Clock
}

/** A `Db` on a database of its own, dropped when disposed of. */
export interface TestDb extends Db, AsyncDisposable {
  /** `undefined` on PGlite. */
  readonly url: string | undefined
  /** Another pool on the same database: a second replica of an app. On PGlite, which has one connection, the same. */
  another(): Db
}

/** A database for the tests of a module: `await using db = await testDb({ migrations: [source] })`. */
export async function testDb({ migrations = [], clock = systemClock }: TestDbInput = {}): Promise<TestDb> {
  const opened: Db[] = []
  const open = (driver: DbDriver): Db => {
    const db = createDb(driver, { clock })
    opened.push(db)
    return db
  }
  const closeAll = async (): Promise<void> => {
    for (const db of opened) await db.close()
  }
  if (isPglite()) {
    const borrowed = await borrowPglite()
    const driver = pglite({ pglite: borrowed.pglite })
    await createMigrator({
      connect: () => driver.connect(),
      sources: migrations,
      clock: systemClock,
      log: silentLog,
    }).up()
    return extended(
      open(driver),
      undefined,
      // Two pools would send their messages in turns over the one connection that there is.
      () => open(overlaid<DbDriver>(driver, { close: async () => {} })),
      async () => {
        await closeAll()
        await borrowed[Symbol.asyncDispose]()
      },
    )
  }
  const fresh = await createTestDatabase(migrations)
  // Many wait at once, for a connection or each other, on a machine that may be busy.
  const connect = (): Db => open(postgres({ url: fresh.url, clock, poolWaitMs: 60_000, lockTimeoutMs: 60_000 }))
  return extended(connect(), fresh.url, connect, async () => {
    await closeAll()
    await fresh[Symbol.asyncDispose]()
  })
}

function extended(db: Db, url: string | undefined, another: () => Db, dispose: () => Promise<void>): TestDb {
  return overlaid<TestDb>(db, { url, another, [Symbol.asyncDispose]: dispose })
}

/** `target` with members of its own: those of classes live on their prototype and need the target as `this`. */
function overlaid<T extends object>(target: object, own: Readonly<Record<PropertyKey, unknown>>): T {
  return new Proxy(target, {
    get: (_, key) => {
      if (Object.hasOwn(own, key)) return own[key]
      const value: unknown = Reflect.get(target, key, target)
      return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(target) : value
    },
  }) as T
}
