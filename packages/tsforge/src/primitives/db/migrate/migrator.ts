import { hostname } from 'node:os'
import type { Clock } from '../../../kernel/clock.ts'
import type { Log } from '../../../kernel/log.ts'
import type { MigrationSource } from '../../../kernel/plugin.ts'
import { migrationErrors } from './errors.ts'
import { migrationId, readMigrations } from './files.ts'
import type { Migration } from './files.ts'
import { createLedger, erase, ledgerTable, readLedger, record } from './ledger.ts'
import type { LedgerRow } from './ledger.ts'
import { withLock } from './lock.ts'
import type { MigrationConnection } from './lock.ts'
import { runMigration } from './run.ts'
import type { Direction, RunSettings } from './run.ts'
import { compare, refuse } from './verify.ts'
import type { Drift } from './verify.ts'

export interface MigratorOptions {
  /** Borrows a session. It must be a direct one: behind a pooler in transaction mode the lock would not hold. */
  connect(): Promise<MigrationConnection>
  readonly sources: readonly MigrationSource[]
  readonly clock: Clock
  readonly log: Log
  /** How long a transactional script waits for a table lock before it gives up and retries. Default 1000. */
  readonly lockTimeoutMs?: number
  /** Attempts at a script that did not get its locks. Default 10. */
  readonly lockAttempts?: number
  /** Limit of one statement. Default 300000; 0 for none. */
  readonly statementTimeoutMs?: number
  /** How long to wait for another migrator. Default 120000. */
  readonly waitMs?: number
  /** Written to the ledger. Default `host:pid`. */
  readonly appliedBy?: string
}

export interface MigrationStep {
  /** `module/NNNN_name`. */
  readonly id: string
  readonly module: string
  readonly version: number
  readonly file: string
  readonly durationMs: number
}

export interface MigrationReport {
  /** What was done or, in a dry run, what would be done; in order. */
  readonly steps: readonly MigrationStep[]
  readonly dryRun: boolean
}

export interface MigrationStatus {
  readonly id: string
  readonly module: string
  readonly version: number
  readonly state: 'applied' | 'pending' | 'interrupted' | 'edited' | 'missing'
  readonly appliedAt: Date | undefined
  readonly appliedBy: string | undefined
  readonly durationMs: number | undefined
}

export interface Migrator {
  /**
   * Applies what is pending, up to and including `to` (`module/NNNN`). Safe to call from every replica at
   * once. Costs one query when there is nothing to do. Throws `db.migration_*`.
   */
  up(options?: { readonly to?: string; readonly dryRun?: boolean }): Promise<MigrationReport>
  /** Reverts the newest applied migration, or the newest `steps`. */
  down(options?: { readonly steps?: number; readonly dryRun?: boolean }): Promise<MigrationReport>
  status(): Promise<MigrationStatus[]>
  drift(): Promise<Drift[]>
  /** Settles an interrupted migration, after a person has looked. */
  resolve(id: string, as: 'applied' | 'pending'): Promise<void>
}

/** Runs plain `.sql` migrations of several modules against one database. */
export function createMigrator(options: MigratorOptions): Migrator {
  const { clock, log, sources } = options
  const appliedBy = options.appliedBy ?? `${hostname()}:${process.pid}`

  const locked = <T>(db: MigrationConnection, work: (settings: RunSettings) => Promise<T>): Promise<T> =>
    withLock(db, { clock, waitMs: options.waitMs ?? 120_000 }, ({ schema, searchPath }) =>
      work({
        clock,
        appliedBy,
        searchPath,
        ledger: schema === null ? ledgerTable : `${schema}.${ledgerTable}`,
        lockTimeoutMs: options.lockTimeoutMs ?? 1000,
        lockAttempts: options.lockAttempts ?? 10,
        statementTimeoutMs: options.statementTimeoutMs ?? 300_000,
      }),
    )

  const runAll = async (
    db: MigrationConnection,
    migrations: readonly Migration[],
    direction: Direction,
    settings: RunSettings,
  ): Promise<MigrationReport> => {
    const steps: MigrationStep[] = []
    for (const migration of migrations) {
      const durationMs = Math.round(await runMigration(db, migration, direction, settings))
      steps.push(stepOf(migration, direction, durationMs))
      log.info({ migration: migration.id, durationMs }, direction === 'up' ? 'migration applied' : 'migration reverted')
    }
    return { steps, dryRun: false }
  }

  return {
    async up({ to, dryRun = false } = {}) {
      const migrations = readMigrations(sources)
      const wanted = to === undefined ? migrations : upTo(migrations, to)
      return session(options, async (db) => {
        const seen = (await readLedger(db)) ?? []
        const first = compare(migrations, seen)
        // Another replica may be in the middle of an "interrupted" one: only the lock's holder can tell.
        refuse(
          first.drift.filter(({ kind }) => kind !== 'interrupted'),
          seen,
        )
        const strangers = first.drift.filter(({ kind }) => kind === 'missing' || kind === 'unknown_module')
        if (strangers.length > 0)
          log.warn(
            { migrations: strangers.map(({ id }) => id) },
            'the database has migrations that this release does not know',
          )
        const settled = first.drift.every(({ kind }) => kind !== 'interrupted')
        const todo = first.pending.filter((migration) => wanted.includes(migration))
        if (settled && (dryRun || todo.length === 0)) return { steps: todo.map((m) => stepOf(m, 'up', 0)), dryRun }
        return locked(db, async (settings) => {
          if (!dryRun) await createLedger(db, settings.ledger)
          const rows = (await readLedger(db, settings.ledger)) ?? []
          const { pending, drift } = compare(migrations, rows)
          refuse(drift, rows)
          const next = pending.filter((migration) => wanted.includes(migration))
          return dryRun ? { steps: next.map((m) => stepOf(m, 'up', 0)), dryRun } : runAll(db, next, 'up', settings)
        })
      })
    },

    async down({ steps = 1, dryRun = false } = {}) {
      const migrations = readMigrations(sources)
      return session(options, (db) =>
        locked(db, async (settings) => {
          const rows = (await readLedger(db, settings.ledger)) ?? []
          // All refusals come before the first change.
          const chosen = rows
            .toReversed()
            .slice(0, steps)
            .map((row) => revertible(row, migrations))
          return dryRun
            ? { steps: chosen.map((m) => stepOf(m, 'down', 0)), dryRun }
            : runAll(db, chosen, 'down', settings)
        }),
      )
    },

    async status() {
      const migrations = readMigrations(sources)
      const rows = (await session(options, (db) => readLedger(db))) ?? []
      return statusOf(migrations, rows)
    },

    async drift() {
      const migrations = readMigrations(sources)
      const rows = (await session(options, (db) => readLedger(db))) ?? []
      return [...compare(migrations, rows).drift]
    },

    async resolve(id, as) {
      const migrations = readMigrations(sources)
      await session(options, (db) =>
        locked(db, async ({ ledger }) => {
          const migration = targetOf(migrations, id)
          const row = ((await readLedger(db, ledger)) ?? []).find(
            (r) => r.module === migration.module && r.version === migration.version,
          )
          if (row === undefined || row.state === 'applied')
            throw migrationErrors.error('db.migration_target_unknown', { meta: { target: id } })
          if (as === 'applied') await record(db, ledger, migration, 'applied', row.duration_ms, appliedBy)
          else await erase(db, ledger, migration)
          log.warn({ migration: migration.id, as }, 'interrupted migration settled by hand')
        }),
      )
    },
  }
}

async function session<T>({ connect }: MigratorOptions, work: (db: MigrationConnection) => Promise<T>): Promise<T> {
  const db = await connect()
  let broken = true
  try {
    const result = await work(db)
    broken = false
    return result
  } finally {
    // Nobody can tell what a failed script has left in its session.
    db.release(broken)
  }
}

function stepOf(migration: Migration, direction: Direction, durationMs: number): MigrationStep {
  const { id, module, version } = migration
  return {
    id,
    module,
    version,
    file: (direction === 'up' ? undefined : migration.downFile) ?? migration.up.file,
    durationMs,
  }
}

function targetOf(migrations: readonly Migration[], target: string): Migration {
  const [module, rest = ''] = target.split('/')
  const version = /^(\d{1,9})(?:_|$)/.exec(rest)?.[1]
  const found = migrations.find((m) => m.module === module && version !== undefined && m.version === Number(version))
  if (found === undefined) throw migrationErrors.error('db.migration_target_unknown', { meta: { target } })
  return found
}

function upTo(migrations: readonly Migration[], target: string): readonly Migration[] {
  return migrations.slice(0, migrations.indexOf(targetOf(migrations, target)) + 1)
}

function revertible(row: LedgerRow, migrations: readonly Migration[]): Migration {
  const id = migrationId(row.module, row.version, row.name)
  const migration = migrations.find((m) => m.module === row.module && m.version === row.version)
  if (migration === undefined) throw migrationErrors.error('db.migration_missing', { meta: { file: id } })
  if (row.state !== 'applied')
    throw migrationErrors.error('db.migration_interrupted', { meta: { file: migration.up.file } })
  if (migration.downFile === undefined)
    throw migrationErrors.error('db.migration_irreversible', { meta: { file: migration.up.file } })
  return migration
}

function statusOf(migrations: readonly Migration[], rows: readonly LedgerRow[]): MigrationStatus[] {
  const { drift } = compare(migrations, rows)
  const kinds = new Map(drift.map(({ id, kind }) => [id, kind]))
  const rowOf = new Map(rows.map((row) => [`${row.module}/${row.version}`, row]))
  const lines = migrations.map(({ id, module, version }): MigrationStatus => {
    const row = rowOf.get(`${module}/${version}`)
    rowOf.delete(`${module}/${version}`)
    const kind = kinds.get(id)
    const state = row === undefined ? 'pending' : kind === 'edited' || kind === 'interrupted' ? kind : 'applied'
    return {
      id,
      module,
      version,
      state,
      appliedAt: row?.applied_at,
      appliedBy: row?.applied_by,
      durationMs: row?.duration_ms,
    }
  })
  for (const row of rowOf.values()) {
    const { module, version } = row
    lines.push({
      id: migrationId(module, version, row.name),
      module,
      version,
      state: 'missing',
      appliedAt: row.applied_at,
      appliedBy: row.applied_by,
      durationMs: row.duration_ms,
    })
  }
  return lines
}
