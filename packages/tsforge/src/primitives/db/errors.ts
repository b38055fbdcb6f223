import { defineErrors } from '../../kernel/errors.ts'
import type { ErrorCatalogue } from '../../kernel/errors.ts'

export type DbErrorCode =
  | 'db.unavailable'
  | 'db.pool_exhausted'
  | 'db.too_many_connections'
  | 'db.read_only'
  | 'db.storage_full'
  | 'db.timeout'
  | 'db.lock_timeout'
  | 'db.conflict'
  | 'db.commit_unknown'
  | 'db.unique_violation'
  | 'db.foreign_key_violation'
  | 'db.check_violation'
  | 'db.not_null_violation'
  | 'db.exclusion_violation'
  | 'db.invalid_value'
  | 'db.value_too_long'
  | 'db.out_of_range'
  | 'db.query_failed'
  | 'db.stale_plan'
  | 'db.tx_closed'
  | 'db.tx_failed'
  | 'db.savepoint_open'
  | 'db.read_only_tx'
  | 'db.nested_connection'
  | 'db.listen_unsupported'
  | 'db.misconfigured'
  | 'db.driver_missing'
  | 'db.embedded_failed'
  | 'db.embedded_version'

export const dbErrors: ErrorCatalogue<DbErrorCode> = defineErrors({
  'db.unavailable': {
    status: 503,
    message: { en: 'The database cannot be reached right now.', id: 'Basis data sedang tidak dapat dijangkau.' },
    fix: 'Try again after the time in Retry-After.',
  },
  'db.pool_exhausted': {
    status: 503,
    message: { en: 'All database connections are busy.', id: 'Semua koneksi basis data sedang dipakai.' },
    fix: 'Try again after the time in Retry-After. For the operator: find the transactions that are held for long, or raise DATABASE_POOL_MAX.',
  },
  'db.too_many_connections': {
    status: 503,
    message: { en: 'The database accepts no more connections.', id: 'Basis data tidak menerima koneksi lagi.' },
    fix: 'Try again later. For the operator: the pools of all replicas together must stay below max_connections.',
  },
  'db.read_only': {
    status: 503,
    message: {
      en: 'The database accepts only reads at the moment.',
      id: 'Basis data saat ini hanya menerima pembacaan.',
    },
    fix: 'Try again after the time in Retry-After; a fail-over is probably in progress.',
  },
  'db.storage_full': {
    status: 503,
    message: {
      en: 'The database cannot store more at the moment.',
      id: 'Basis data saat ini tidak dapat menyimpan lagi.',
    },
    fix: 'Try again later. For the operator: the disk or the memory of the database server is full.',
  },
  'db.timeout': {
    status: 503,
    message: { en: 'The database took too long to answer.', id: 'Basis data terlalu lama menjawab.' },
    fix: 'Ask for less, or try again later. For the operator: see DATABASE_STATEMENT_TIMEOUT.',
  },
  'db.lock_timeout': {
    status: 503,
    message: { en: 'The data is locked by another change.', id: 'Data sedang dikunci oleh perubahan lain.' },
    fix: 'Try again after the time in Retry-After.',
  },
  'db.conflict': {
    status: 409,
    message: { en: 'Another change happened at the same time.', id: 'Perubahan lain terjadi pada saat yang sama.' },
    fix: 'Try again.',
  },
  'db.commit_unknown': {
    status: 503,
    message: {
      en: 'The connection was lost while the change was being saved: it may or may not have taken effect.',
      id: 'Koneksi terputus saat perubahan disimpan: perubahan itu mungkin sudah atau belum berlaku.',
    },
    fix: 'Read the current state before trying again, or repeat the request with the same Idempotency-Key.',
  },
  'db.unique_violation': {
    status: 409,
    message: { en: 'A record with this value exists already.', id: 'Data dengan nilai ini sudah ada.' },
    fix: 'Use another value.',
  },
  'db.foreign_key_violation': {
    status: 409,
    message: {
      en: 'A record that this one refers to, or that refers to it, is in the way.',
      id: 'Data yang dirujuk atau merujuk menghalangi perubahan ini.',
    },
    fix: 'Refer to a record that exists; remove dependent records first.',
  },
  'db.check_violation': {
    status: 422,
    fix: 'Send a value that the rule allows.',
    message: { en: 'A value breaks a rule of the data.', id: 'Sebuah nilai melanggar aturan data.' },
  },
  'db.not_null_violation': {
    status: 422,
    fix: 'Send the missing value.',
    message: { en: 'A required value is missing.', id: 'Sebuah nilai wajib tidak ada.' },
  },
  'db.exclusion_violation': {
    status: 409,
    message: { en: 'The value collides with another record.', id: 'Nilai bertabrakan dengan data lain.' },
    fix: 'Use another value.',
  },
  'db.invalid_value': {
    status: 422,
    fix: 'Send the value in the form that the documentation names.',
    message: { en: 'A value is not in the right form.', id: 'Bentuk sebuah nilai tidak benar.' },
  },
  'db.value_too_long': {
    status: 422,
    fix: 'Send a shorter value.',
    message: { en: 'A value is too long.', id: 'Sebuah nilai terlalu panjang.' },
  },
  'db.out_of_range': {
    status: 422,
    fix: 'Send a number within the documented range.',
    message: { en: 'A number is out of range.', id: 'Sebuah angka di luar jangkauan.' },
  },
  'db.query_failed': {
    status: 500,
    message: { en: 'A database statement failed.', id: 'Sebuah perintah basis data gagal.' },
    fix: 'See the cause in the log.',
  },
  'db.stale_plan': {
    status: 503,
    message: { en: 'A table changed while it was in use.', id: 'Sebuah tabel berubah saat sedang dipakai.' },
    fix: 'Try again; the statement is prepared anew.',
  },
  'db.tx_closed': {
    status: 500,
    message: { en: 'The transaction has ended already.', id: 'Transaksi sudah berakhir.' },
    fix: 'Await everything that uses the transaction inside its function.',
  },
  'db.tx_failed': {
    status: 500,
    message: {
      en: 'A statement of the transaction failed, so nothing of it was saved.',
      id: 'Sebuah perintah dalam transaksi gagal, sehingga tidak ada yang disimpan.',
    },
    fix: 'Let the error leave the function of the transaction, or survive it in a savepoint.',
  },
  'db.savepoint_open': {
    status: 500,
    message: { en: 'A savepoint of the transaction is open.', id: 'Sebuah savepoint dalam transaksi masih terbuka.' },
    fix: 'Use the transaction that the savepoint hands to its function, and await it before anything else.',
  },
  'db.read_only_tx': {
    status: 500,
    message: { en: 'A read-only transaction tried to write.', id: 'Transaksi khusus baca mencoba menulis.' },
    fix: 'Drop `readOnly` from the options of the transaction.',
  },
  'db.nested_connection': {
    status: 500,
    message: {
      en: 'The database was asked outside of the open transaction, and this driver has one connection only.',
      id: 'Basis data dipanggil di luar transaksi yang terbuka, sedangkan driver ini hanya punya satu koneksi.',
    },
    fix: 'Pass the transaction along: every function of the framework that touches the database takes it.',
  },
  'db.listen_unsupported': {
    status: 500,
    message: {
      en: 'This database connection cannot receive notifications.',
      id: 'Koneksi basis data ini tidak dapat menerima notifikasi.',
    },
    fix: 'Behind PgBouncer in transaction mode set DATABASE_DIRECT_URL to the server itself.',
  },
  'db.misconfigured': {
    status: 500,
    fix: 'Correct the settings that start with DATABASE_ or FORGE_DB_.',
    message: {
      en: 'The database settings cannot work: {reason}',
      id: 'Pengaturan basis data tidak dapat dipakai: {reason}',
    },
  },
  'db.driver_missing': {
    status: 500,
    message: { en: 'The package "{package}" is not installed.', id: 'Paket "{package}" belum dipasang.' },
    fix: 'Install it (or @electric-sql/pglite, which runs everywhere), or set DATABASE_URL to a PostgreSQL server.',
  },
  'db.embedded_failed': {
    status: 500,
    message: {
      en: 'The embedded PostgreSQL did not start: {reason}',
      id: 'PostgreSQL tertanam tidak dapat dijalankan: {reason}',
    },
    fix: 'See .forge/postgres/server.log, or set DATABASE_URL to a PostgreSQL server.',
  },
  'db.embedded_version': {
    status: 500,
    message: {
      en: 'The data folder was written by PostgreSQL {found}, but the installed binaries are {installed}.',
      id: 'Folder data ditulis oleh PostgreSQL {found}, sedangkan biner yang terpasang {installed}.',
    },
    fix: 'Install the binaries of that version and dump the data, or delete .forge/postgres to start anew (development data is lost).',
  },
})
