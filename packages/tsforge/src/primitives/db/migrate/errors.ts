import { defineErrors } from '../../../kernel/errors.ts'
import type { ErrorCatalogue } from '../../../kernel/errors.ts'

/** Faults of migrations. All are for operators: they stop a start or a command, and name file, line and reason. */
export type MigrationErrorCode =
  | 'db.migration_failed'
  | 'db.migration_edited'
  | 'db.migration_interrupted'
  | 'db.migration_irreversible'
  | 'db.migration_locked'
  | 'db.migration_missing'
  | 'db.migration_out_of_order'
  | 'db.migration_source_invalid'
  | 'db.migration_target_unknown'

export const migrationErrors: ErrorCatalogue<MigrationErrorCode> = defineErrors({
  'db.migration_failed': {
    status: 500,
    message: {
      en: 'Migration {file} failed at line {line}: {reason}',
      id: 'Migrasi {file} gagal di baris {line}: {reason}',
    },
    fix: 'Correct the statement and run the migration again; a transactional migration left nothing behind.',
  },
  'db.migration_edited': {
    status: 500,
    message: {
      en: 'Migration {file} was edited after it had been applied.',
      id: 'Migrasi {file} diubah setelah diterapkan.',
    },
    fix: 'Restore the file as it was applied and put the change into a new migration. In development: revert it with `forge migrate down`, then apply it again.',
  },
  'db.migration_interrupted': {
    status: 500,
    message: {
      en: 'Migration {file} runs outside of a transaction and was interrupted.',
      id: 'Migrasi {file} berjalan di luar transaksi dan terputus.',
    },
    fix: 'See which of its statements took effect (an interrupted CREATE INDEX CONCURRENTLY leaves an invalid index: drop it), then declare the migration applied or pending with `forge migrate resolve`.',
  },
  'db.migration_irreversible': {
    status: 500,
    message: {
      en: 'Migration {file} cannot be reverted: it has no .down.sql file.',
      id: 'Migrasi {file} tidak dapat dibatalkan: tidak ada berkas .down.sql.',
    },
    fix: 'Write the .down.sql file next to it, or correct the schema with a new migration.',
  },
  'db.migration_locked': {
    status: 500,
    message: {
      en: 'Another process has been migrating this database for longer than {waited_ms} ms.',
      id: 'Proses lain memigrasikan basis data ini lebih dari {waited_ms} ms.',
    },
    fix: 'Wait until it has finished. If it hangs, find it in pg_locks (locktype advisory) and end it.',
  },
  'db.migration_missing': {
    status: 500,
    message: {
      en: 'Migration {file} is applied, but its files are not here.',
      id: 'Migrasi {file} sudah diterapkan, tetapi berkasnya tidak ada.',
    },
    fix: 'Run the command with the release that brought the migration.',
  },
  'db.migration_out_of_order': {
    status: 500,
    message: {
      en: 'Migration {file} is older than {newest}, which is already applied.',
      id: 'Migrasi {file} lebih lama daripada {newest} yang sudah diterapkan.',
    },
    fix: 'Give the new migration the next free number.',
  },
  'db.migration_source_invalid': {
    status: 500,
    message: { en: 'Migrations of module {module}: {reason}', id: 'Migrasi modul {module}: {reason}' },
    fix: 'Name files NNNN_name.up.sql and NNNN_name.down.sql, each number once, and list only present modules in `after`, without cycles.',
  },
  'db.migration_target_unknown': {
    status: 400,
    message: { en: 'There is no migration {target}.', id: 'Tidak ada migrasi {target}.' },
    fix: 'Name it as module/number, e.g. accounts/0002; `forge migrate status` lists all.',
  },
})
