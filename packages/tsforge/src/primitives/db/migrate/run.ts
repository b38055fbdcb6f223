import type { Clock } from '../../../kernel/clock.ts'
import { ForgeError } from '../../../kernel/errors.ts'
import { retry } from '../../../kernel/resilience/retry.ts'
import type { Queryable } from '../driver.ts'
import { sqlFault } from '../faults.ts'
import { migrationErrors } from './errors.ts'
import { readScript } from './files.ts'
import type { Migration, MigrationScript } from './files.ts'
import { erase, record } from './ledger.ts'
import { lineOfPosition, splitStatements } from './statements.ts'

/** Everything that running one script needs to know. */
export interface RunSettings {
  readonly clock: Clock
  /** Quoted name of the ledger, schema included: a script may change the search path. */
  readonly ledger: string
  readonly searchPath: string
  readonly appliedBy: string
  readonly lockTimeoutMs: number
  readonly lockAttempts: number
  readonly statementTimeoutMs: number
}

export type Direction = 'up' | 'down'

/** Runs one script and records it. Resolves with its duration in milliseconds. */
export async function runMigration(
  db: Queryable,
  migration: Migration,
  direction: Direction,
  settings: RunSettings,
): Promise<number> {
  const script = direction === 'up' ? migration.up : downScript(migration)
  return script.transactional
    ? runInTransaction(db, migration, script, direction, settings)
    : runOutside(db, migration, script, direction, settings)
}

function downScript({ up, downFile }: Migration): MigrationScript {
  if (downFile === undefined) throw migrationErrors.error('db.migration_irreversible', { meta: { file: up.file } })
  return readScript(downFile)
}

/**
 * A script that waits for a lock holds up everybody who queues behind it, so it waits briefly, gives up, and
 * comes back: `lockAttempts` times, with full jitter.
 */
async function runInTransaction(
  db: Queryable,
  migration: Migration,
  script: MigrationScript,
  direction: Direction,
  settings: RunSettings,
): Promise<number> {
  const { clock, ledger, appliedBy, lockAttempts } = settings
  const attempt = async (): Promise<number> => {
    const began = clock.monotonic()
    try {
      await db.query('begin')
      await prepareSession(db, script, settings, true)
      await execute(db, script)
      const duration = clock.monotonic() - began
      if (direction === 'up') await record(db, ledger, migration, 'applied', duration, appliedBy)
      else await erase(db, ledger, migration)
      await db.query('commit')
      return duration
    } catch (error) {
      // On a lost connection there is nothing to roll back, and the first error is the one to tell.
      await db.query('rollback').catch(() => undefined)
      throw error
    }
  }
  const schedule = { clock, attempts: lockAttempts, retryIf: isBlocked, ignoreRetryAfter: true, capMs: 5000 }
  return retry(attempt, schedule).catch((error: unknown) => {
    throw migrationErrors.is(error) ? error : failure(script, 1, error)
  })
}

/** Lock time-out or deadlock. */
function isBlocked(error: unknown): boolean {
  const state = sqlFault(migrationErrors.is(error) ? error.cause : error)?.state
  return state === '55P03' || state === '40P01'
}

/** Marks the script as begun before its first statement, so that an interruption stays visible. */
async function runOutside(
  db: Queryable,
  migration: Migration,
  script: MigrationScript,
  direction: Direction,
  settings: RunSettings,
): Promise<number> {
  const { clock, ledger, appliedBy } = settings
  const began = clock.monotonic()
  await prepareSession(db, script, settings, false)
  await record(db, ledger, migration, direction === 'up' ? 'started' : 'reverting', 0, appliedBy)
  await execute(db, script)
  const duration = clock.monotonic() - began
  if (direction === 'up') await record(db, ledger, migration, 'applied', duration, appliedBy)
  else await erase(db, ledger, migration)
  return duration
}

// Index builds outside of a transaction wait for others without blocking them, and run long.
const outsideLockTimeout = '1min'
const outsideStatementTimeout = '6h'

async function prepareSession(
  db: Queryable,
  script: MigrationScript,
  settings: RunSettings,
  local: boolean,
): Promise<void> {
  await db.query(
    `select set_config('lock_timeout', $1, $4), set_config('statement_timeout', $2, $4), set_config('search_path', $3, $4)`,
    [
      script.lockTimeout ?? (local ? `${settings.lockTimeoutMs}ms` : outsideLockTimeout),
      script.statementTimeout ?? (local ? `${settings.statementTimeoutMs}ms` : outsideStatementTimeout),
      settings.searchPath,
      local,
    ],
  )
}

const transactionControl =
  /^(?:begin|commit|rollback|abort|end|start\s+transaction|prepare\s+transaction|savepoint|release)\b/i

async function execute(db: Queryable, script: MigrationScript): Promise<void> {
  for (const statement of splitStatements(script.sql)) {
    if (transactionControl.test(statement.text)) {
      throw failure(
        script,
        statement.line,
        new Error(
          'the migrator opens the transaction; "-- forge:no-transaction" is for statements that cannot run in one',
        ),
      )
    }
    try {
      await db.query(statement.text)
    } catch (error) {
      throw failure(script, lineOfPosition(statement, Number(serverError(error).position)), error)
    }
  }
}

function failure(script: MigrationScript, line: number, cause: unknown): Error {
  const state = sqlFault(cause)?.state
  const reason = serverError(cause).message + (state === undefined ? '' : ` (SQLSTATE ${state})`)
  return migrationErrors.error('db.migration_failed', { meta: { file: script.file, line, reason }, cause })
}

/** The server's own sentence, which operators need; the catalogue's is for callers. */
function serverError(error: unknown): { readonly message: string; readonly position?: string } {
  const source = error instanceof ForgeError ? (error.cause ?? error) : error
  return source instanceof Error ? source : { message: String(source) }
}
