import type { Queryable } from '../driver.ts'
import { sqlFault } from '../faults.ts'
import type { Migration } from './files.ts'

/**
 * `started`/`reverting`: a script outside of a transaction began and has not reported its end. Everything
 * transactional is `applied` or absent.
 */
export type LedgerState = 'applied' | 'started' | 'reverting'

export interface LedgerRow {
  readonly seq: number
  readonly module: string
  readonly version: number
  readonly name: string
  readonly checksum: string
  readonly state: LedgerState
  readonly applied_at: Date
  readonly duration_ms: number
  readonly applied_by: string
}

/**
 * All rows, oldest first; `undefined` when the database was never migrated. One query. A ledger further down
 * the search path belongs to somebody else, hence the comparison of `tableoid`.
 */
export async function readLedger(db: Queryable, table: string = ledgerTable): Promise<LedgerRow[] | undefined> {
  try {
    const { rows } = await db.query<LedgerRow>(
      `select seq::int, module, version, name, checksum, state, applied_at, duration_ms, applied_by
       from ${table}
       where tableoid = to_regclass(quote_ident(current_schema()) || '.${ledgerTable}')::oid
       order by seq`,
    )
    return rows
  } catch (error) {
    if (sqlFault(error)?.state === '42P01') return undefined
    throw error
  }
}

export const ledgerTable = 'forge_migrations'

/** Creates the ledger. Only under the migration lock: `if not exists` alone races. */
export async function createLedger(db: Queryable, table: string): Promise<void> {
  await db.query(`
    create table if not exists ${table} (
      seq bigint generated always as identity,
      module text not null,
      version integer not null,
      name text not null,
      checksum text not null,
      state text not null check (state in ('applied', 'started', 'reverting')),
      applied_at timestamptz not null default now(),
      duration_ms integer not null default 0,
      applied_by text not null,
      primary key (module, version)
    )`)
}

/** Inserts or completes the row of a migration. */
export async function record(
  db: Queryable,
  table: string,
  migration: Migration,
  state: LedgerState,
  durationMs: number,
  by: string,
): Promise<void> {
  await db.query(
    `insert into ${table} (module, version, name, checksum, state, duration_ms, applied_by)
     values ($1, $2, $3, $4, $5, $6, $7)
     on conflict (module, version) do update set
       state = excluded.state, duration_ms = excluded.duration_ms, checksum = excluded.checksum, applied_at = now()`,
    [migration.module, migration.version, migration.name, migration.checksum, state, Math.round(durationMs), by],
  )
}

export async function erase(
  db: Queryable,
  table: string,
  row: { readonly module: string; readonly version: number },
): Promise<void> {
  await db.query(`delete from ${table} where module = $1 and version = $2`, [row.module, row.version])
}
