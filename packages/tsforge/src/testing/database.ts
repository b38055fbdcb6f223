import { createHash, randomBytes } from 'node:crypto'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { systemClock } from '../kernel/clock.ts'
import { silentLog } from '../kernel/log.ts'
import type { MigrationSource } from '../kernel/plugin.ts'
import { retry } from '../kernel/resilience/retry.ts'
import { sqlFault } from '../primitives/db/index.ts'
import type { DbConnection, DbDriver } from '../primitives/db/index.ts'
import { postgres } from '../primitives/db/drivers/postgres.ts'
import { createMigrator } from '../primitives/db/migrate/index.ts'
import { testTarget } from './server.ts'

/** A database of one test. */
export interface TestDatabase extends AsyncDisposable {
  /** `postgres://` URL. */
  readonly url: string
}

/**
 * A fresh database with `sources` applied. They are applied once per run, to a template; each test gets a copy,
 * which costs a tenth of a second and shares nothing with other tests.
 */
export async function createTestDatabase(sources: readonly MigrationSource[] = []): Promise<TestDatabase> {
  const target = await testTarget()
  if (target.kind !== 'server') throw new Error('a database by URL needs a server; this run is on pglite')
  const admin = adminOf(target.url)
  const name = `forge_test_${randomBytes(8).toString('hex')}`
  const template = await templateOf(target.url, admin, sources)
  await admin.query(`create database ${name} template ${template}`)
  return {
    url: urlOf(target.url, name),
    [Symbol.asyncDispose]: async () => {
      await whenLeft(() => admin.query(`drop database if exists ${name} with (force)`))
    },
  }
}

/** Others make databases too, and templates take a busy machine long. */
const patient = { poolWaitMs: 60_000, lockTimeoutMs: 60_000, statementTimeoutMs: 60_000 }

let admin: DbDriver | undefined

/** One connection of this worker for making and dropping databases; it does not hold the process. */
function adminOf(url: string): DbDriver {
  return (admin ??= postgres({ url, max: 2, idleMs: 500, applicationName: 'forge-test', ...patient }))
}

const templates = new Map<string, Promise<string>>()

function templateOf(url: string, db: DbDriver, sources: readonly MigrationSource[]): Promise<string> {
  if (sources.length === 0) return Promise.resolve('template0')
  const name = `forge_template_${digestOf(sources)}`
  let made = templates.get(name)
  if (made === undefined) templates.set(name, (made = makeTemplate(url, db, name, sources)))
  return made
}

/** Under a lock of the server: several workers may want the same template. It takes its name when it is complete. */
async function makeTemplate(
  url: string,
  db: DbDriver,
  name: string,
  sources: readonly MigrationSource[],
): Promise<string> {
  const session = await db.connect()
  try {
    await session.query('select pg_advisory_lock(hashtext($1))', [name])
    const { rows } = await session.query('select 1 from pg_database where datname = $1', [name])
    if (rows.length === 0) await fill(session, url, name, sources)
    return name
  } finally {
    session.release(true)
  }
}

async function fill(
  session: DbConnection,
  url: string,
  name: string,
  sources: readonly MigrationSource[],
): Promise<void> {
  const draft = `${name}_draft`
  await whenLeft(() => session.query(`drop database if exists ${draft} with (force)`))
  await session.query(`create database ${draft} template template0`)
  const driver = postgres({ url: urlOf(url, draft), max: 1 })
  try {
    await createMigrator({ connect: () => driver.connect(), sources, clock: systemClock, log: silentLog }).up()
  } finally {
    await driver.close()
  }
  await whenLeft(() => session.query(`alter database ${draft} rename to ${name}`))
}

/** For who leaves a database the server waits five seconds, and then refuses (55006): a busy machine takes longer. */
export function whenLeft<T>(work: () => Promise<T>): Promise<T> {
  const isInUse = (error: unknown): boolean => sqlFault(error)?.state === '55006'
  return retry(work, { clock: systemClock, attempts: 12, retryIf: isInUse })
}

/** Changes when any migration does. */
function digestOf(sources: readonly MigrationSource[]): string {
  const hash = createHash('sha256')
  for (const { module, directory } of sources) {
    const folder = directory instanceof URL || directory.startsWith('file:') ? fileURLToPath(directory) : directory
    for (const file of readdirSync(folder).sort())
      hash.update(`${module}/${file}\n`).update(readFileSync(join(folder, file)))
  }
  return hash.digest('hex').slice(0, 24)
}

function urlOf(server: string, database: string): string {
  return server.replace(
    /^(postgres(?:ql)?:\/\/[^/?]*)(?:\/[^?]*)?(\?.*)?$/,
    (_, base: string, query: string | undefined) => `${base}/${database}${query ?? ''}`,
  )
}
