import { field } from '../../kernel/options.ts'
import type { OptionsSchema, Siblings } from '../../kernel/options.ts'
import type { Secret } from '../../kernel/secret.ts'

export interface DbOptions {
  readonly driver: 'auto' | 'postgres' | 'embedded' | 'pglite'
  readonly url: Secret | undefined
  readonly directUrl: Secret | undefined
  readonly replicaUrl: Secret | undefined
  readonly poolMax: number
  readonly poolWaitMs: number
  readonly statementTimeoutMs: number
  readonly lockTimeoutMs: number
  readonly idleInTransactionTimeoutMs: number
  readonly preparedStatements: 'auto' | 'off'
  readonly preparedLimit: number
  readonly replicaMaxLagMs: number
  readonly replicaMaxLagBytes: number
  readonly startTimeoutMs: number
  readonly dataDir: string | undefined
  readonly embeddedInProduction: boolean
  readonly plaintextAllowed: boolean
}

const postgresUrl = { protocols: ['postgres', 'postgresql'] } as const
const loopback = new Set(['localhost', '127.0.0.1', '[::1]', ''])

/** Passwords and data must not cross a network in the clear, unless somebody says that this network is theirs. */
function refusePlaintext(url: Secret | undefined, { plaintextAllowed }: Siblings): string | undefined {
  if (url === undefined || plaintextAllowed === true) return undefined
  const parsed = URL.parse(url.reveal())
  if (
    parsed === null ||
    loopback.has(parsed.hostname) ||
    /^%2f/i.test(parsed.hostname) ||
    parsed.searchParams.get('host')?.startsWith('/') === true
  )
    return undefined
  const mode = parsed.searchParams.get('sslmode')
  const ssl = parsed.searchParams.get('ssl')
  if (mode === 'disable' || (mode === null && ssl !== 'true' && ssl !== '1'))
    return 'leads to another machine without TLS: add sslmode=verify-full, or set FORGE_DB_PLAINTEXT_ALLOWED=true'
  return undefined
}

export const dbOptions: OptionsSchema<DbOptions> = {
  plaintextAllowed: field.boolean('FORGE_DB_PLAINTEXT_ALLOWED', {
    doc: 'Production may reach another machine without TLS',
    default: false,
  }),
  embeddedInProduction: field.boolean('FORGE_DB_EMBEDDED_IN_PRODUCTION', {
    doc: 'Production may run on the embedded server or PGlite',
    default: false,
  }),
  driver: field.oneOf('FORGE_DB_DRIVER', {
    doc: '`auto`: DATABASE_URL, else the embedded server, else PGlite',
    values: ['auto', 'postgres', 'embedded', 'pglite'],
    default: 'auto',
    production: (driver, { embeddedInProduction }) =>
      (driver === 'embedded' || driver === 'pglite') && embeddedInProduction !== true
        ? 'names a development database: use postgres, or set FORGE_DB_EMBEDDED_IN_PRODUCTION=true'
        : undefined,
  }),
  url: {
    ...field.optional(
      field.secretUrl('DATABASE_URL', {
        doc: 'PostgreSQL 14 or newer',
        ...postgresUrl,
        example: 'postgres://app:password@db.example.com:5432/app?sslmode=verify-full',
      }),
    ),
    check: (url, { driver }) =>
      driver === 'postgres' && url === undefined ? 'is required by FORGE_DB_DRIVER=postgres' : undefined,
    production: (url, siblings) =>
      url === undefined && siblings.embeddedInProduction !== true
        ? 'is required in production'
        : refusePlaintext(url, siblings),
  },
  directUrl: field.optional(
    field.secretUrl('DATABASE_DIRECT_URL', {
      doc: 'The server itself when DATABASE_URL leads to a pooler: for LISTEN and migrations',
      ...postgresUrl,
      production: refusePlaintext,
    }),
  ),
  replicaUrl: field.optional(
    field.secretUrl('DATABASE_REPLICA_URL', {
      doc: 'A streaming replica for reads that tolerate lag',
      ...postgresUrl,
      production: refusePlaintext,
    }),
  ),
  poolMax: field.integer('DATABASE_POOL_MAX', { doc: 'Most connections per process', default: 10, min: 1, max: 1000 }),
  poolWaitMs: field.duration('DATABASE_POOL_WAIT', {
    doc: 'Longest wait for a connection before 503',
    default: '5s',
    min: '10ms',
  }),
  statementTimeoutMs: field.duration('DATABASE_STATEMENT_TIMEOUT', {
    doc: 'Longest statement, 0 for none',
    default: '30s',
  }),
  lockTimeoutMs: field.duration('DATABASE_LOCK_TIMEOUT', {
    doc: 'Longest wait for a lock, 0 for none',
    default: '10s',
  }),
  idleInTransactionTimeoutMs: field.duration('DATABASE_IDLE_IN_TRANSACTION_TIMEOUT', {
    doc: 'A transaction idle for longer is ended by the server',
    default: '1m',
  }),
  preparedStatements: field.oneOf('DATABASE_PREPARED_STATEMENTS', {
    doc: '`off` behind PgBouncer in transaction mode; the time-outs above are then set with `alter role`',
    values: ['auto', 'off'],
    default: 'auto',
  }),
  preparedLimit: field.integer('DATABASE_PREPARED_LIMIT', {
    doc: 'Most statements kept prepared per connection',
    default: 256,
    min: 0,
    max: 10_000,
  }),
  replicaMaxLagMs: field.duration('DATABASE_REPLICA_MAX_LAG', {
    doc: 'A replica further behind is not read from',
    default: '10s',
  }),
  replicaMaxLagBytes: field.bytes('DATABASE_REPLICA_MAX_LAG_BYTES', {
    doc: 'A replica further behind is not read from',
    default: '16mb',
  }),
  startTimeoutMs: field.duration('DATABASE_START_TIMEOUT', {
    doc: 'How long to wait at start for a database that is late',
    default: '30s',
  }),
  dataDir: field.optional(
    field.string('FORGE_DB_DATA_DIR', {
      doc: 'Data of the embedded database; default `.forge/postgres` (or `.forge/pglite`) in the app',
    }),
  ),
}
