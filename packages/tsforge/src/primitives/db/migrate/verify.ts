import { migrationErrors } from './errors.ts'
import { migrationId } from './files.ts'
import type { Migration } from './files.ts'
import type { LedgerRow } from './ledger.ts'

/**
 * How ledger and files differ.
 * - `edited`: the up script is not the one that was applied.
 * - `missing`: applied, but the module has no such file (an older release looks at a newer database).
 * - `unknown_module`: applied by a module that this app does not have.
 * - `interrupted`: a script outside of a transaction did not report its end (or still runs).
 * - `out_of_order`: pending, but a later one of its module is applied.
 */
export type DriftKind = 'edited' | 'missing' | 'unknown_module' | 'interrupted' | 'out_of_order'

export interface Drift {
  readonly kind: DriftKind
  /** `module/NNNN_name`. */
  readonly id: string
  /** Absolute path, where there is a file. */
  readonly file: string | undefined
  readonly appliedAt: Date | undefined
}

export interface Comparison {
  readonly pending: readonly Migration[]
  readonly drift: readonly Drift[]
}

/** Compares files with the ledger. Pure. */
export function compare(migrations: readonly Migration[], rows: readonly LedgerRow[]): Comparison {
  const byId = new Map(rows.map((row) => [`${row.module}/${row.version}`, row]))
  const newest = new Map<string, number>()
  for (const row of rows) newest.set(row.module, Math.max(row.version, newest.get(row.module) ?? 0))
  const modules = new Set<string>()
  const pending: Migration[] = []
  const drift: Drift[] = []
  for (const migration of migrations) {
    const key = `${migration.module}/${migration.version}`
    const row = byId.get(key)
    byId.delete(key)
    modules.add(migration.module)
    const report = (kind: DriftKind): void => {
      drift.push({ kind, id: migration.id, file: migration.up.file, appliedAt: row?.applied_at })
    }
    if (row === undefined) {
      pending.push(migration)
      if (migration.version < (newest.get(migration.module) ?? 0)) report('out_of_order')
    } else if (row.state !== 'applied') report('interrupted')
    else if (row.checksum !== migration.checksum) report('edited')
  }
  for (const row of byId.values()) {
    const kind = modules.has(row.module) ? 'missing' : 'unknown_module'
    drift.push({ kind, id: migrationId(row.module, row.version, row.name), file: undefined, appliedAt: row.applied_at })
  }
  return { pending, drift }
}

/**
 * Throws for drift that forbids going on. Missing files and unknown modules do not: the previous release
 * must be able to start on the next one's database.
 */
export function refuse(drift: readonly Drift[], rows: readonly LedgerRow[]): void {
  for (const { kind, id, file } of drift) {
    const meta = { file: file ?? id }
    if (kind === 'edited') throw migrationErrors.error('db.migration_edited', { meta })
    if (kind === 'interrupted') throw migrationErrors.error('db.migration_interrupted', { meta })
    if (kind === 'out_of_order') {
      const module = id.slice(0, id.indexOf('/'))
      const newest = rows.filter((row) => row.module === module).toSorted((a, b) => b.version - a.version)[0]
      const name = newest === undefined ? module : migrationId(module, newest.version, newest.name)
      throw migrationErrors.error('db.migration_out_of_order', { meta: { ...meta, newest: name } })
    }
  }
}
