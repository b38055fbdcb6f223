import type { Clock } from '../../../kernel/clock.ts'
import { backoffMs } from '../../../kernel/resilience/retry.ts'
import type { Queryable } from '../driver.ts'
import { migrationErrors } from './errors.ts'

/** A session: a `DbConnection`, or a `pg` pool client as it is. */
export interface MigrationConnection extends Queryable {
  /** Gives the session back; with `broken` it is closed instead. */
  release(broken?: boolean): void
}

/** The advisory lock of all migrators of a database: "forge" in ASCII, then the purpose. */
const lockKey = '(1718579815, 1)'

/** What the session was set to before; scripts may change it, and the session goes back to a pool. */
export interface SessionState {
  /** Quoted name of the schema in which unqualified tables are made; `null` when the search path has none. */
  readonly schema: string | null
  readonly searchPath: string
}

/**
 * Runs `work` while holding the database's migration lock. It asks again and again instead of blocking in
 * the server: a blocked statement keeps a snapshot, and a CREATE INDEX CONCURRENTLY of the lock's holder
 * would wait for that snapshot for ever.
 */
export async function withLock<T>(
  db: Queryable,
  { clock, waitMs }: { readonly clock: Clock; readonly waitMs: number },
  work: (session: SessionState) => Promise<T>,
): Promise<T> {
  const deadline = clock.monotonic() + waitMs
  while (!(await tryLock(db))) {
    if (clock.monotonic() >= deadline)
      throw migrationErrors.error('db.migration_locked', { meta: { waited_ms: waitMs } })
    await clock.sleep(50 + backoffMs(0))
  }
  const settings = await readSettings(db)
  try {
    return await work({ schema: settings.schema, searchPath: settings.path })
  } finally {
    // A session that died has let go of the lock by itself.
    await db
      .query(
        `select pg_advisory_unlock${lockKey}, set_config('search_path', $1, false),
          set_config('lock_timeout', $2, false), set_config('statement_timeout', $3, false)`,
        [settings.path, settings.lock, settings.statement],
      )
      .catch(() => undefined)
  }
}

async function tryLock(db: Queryable): Promise<boolean> {
  const { rows } = await db.query<{ locked: boolean }>(`select pg_try_advisory_lock${lockKey} as locked`)
  return rows[0]?.locked === true
}

interface Settings {
  readonly schema: string | null
  readonly path: string
  readonly lock: string
  readonly statement: string
}

async function readSettings(db: Queryable): Promise<Settings> {
  const { rows } = await db.query<Settings>(
    `select quote_ident(current_schema()) as schema, current_setting('search_path') as path,
      current_setting('lock_timeout') as lock, current_setting('statement_timeout') as statement`,
  )
  return rows[0] as Settings
}
