import type { ClientConfig, Pool, PoolConfig } from 'pg'
import { systemClock } from '../../../kernel/clock.ts'
import type { Clock } from '../../../kernel/clock.ts'
import type { DbDriver } from '../driver.ts'
import { dbErrors } from '../errors.ts'
import { PgDriver } from '../pg/driver.ts'
import type { ReplicaLag, ReplicaLimits } from '../pg/replica.ts'
import { StatementNames } from '../pg/statement-names.ts'

export { pgTypes } from '../pg/types.ts'
export type { ReplicaLag } from '../pg/replica.ts'

export interface PostgresOptions {
  /** `postgres://user:password@host:port/database?sslmode=verify-full`. Query parameters win over the settings below. */
  readonly url?: string
  /** A live pool instead of `url`, with your own settings; you close it. */
  readonly pool?: Pool
  /** The server itself, when `url` leads to a pooler: for LISTEN. Default: `url`, unless statements are not prepared. */
  readonly directUrl?: string | undefined
  /** A streaming replica for `db.read`. */
  readonly replicaUrl?: string | undefined
  readonly replica?: Partial<ReplicaLimits> & {
    /** Measures the lag in place of PostgreSQL's own positions. */
    readonly probe?: () => Promise<ReplicaLag>
  }
  /** Most connections, default 10. */
  readonly max?: number
  /** Longest wait for a connection (free or new) before `db.pool_exhausted`, default 5 s. */
  readonly poolWaitMs?: number
  /** Idle connections are closed after this, default 30 s. */
  readonly idleMs?: number
  /** Connections are replaced after this, default 30 min. */
  readonly lifetimeMs?: number
  /**
   * `auto`: statements are named by a hash of their text and stay prepared on their connection. `off`: never named,
   * and no session settings are sent at connect: for PgBouncer in transaction mode, where both belong to whoever
   * comes next. Set the time-outs with `alter role … set` then.
   */
  readonly preparedStatements?: 'auto' | 'off'
  /** Most statements kept prepared per connection, default 256; others are sent unnamed. */
  readonly preparedLimit?: number
  /** Server-side limits, milliseconds; 0 means none. Defaults 30 s, 10 s, 60 s. */
  readonly statementTimeoutMs?: number
  readonly lockTimeoutMs?: number
  readonly idleInTransactionTimeoutMs?: number
  /** Shown in pg_stat_activity, default `tsforge`. */
  readonly applicationName?: string
  /** How long `start` waits for a server that is not there yet, default 30 s. */
  readonly startTimeoutMs?: number
  readonly clock?: Clock
}

/** PostgreSQL through the package `pg`. Opens connections when they are needed; `start` waits for the server. */
export function postgres(options: PostgresOptions): DbDriver {
  const { url, pool, preparedStatements = 'auto', clock = systemClock } = options
  if ((url === undefined) === (pool === undefined)) {
    throw dbErrors.error('db.misconfigured', { meta: { reason: 'give either `url` or `pool`' } })
  }
  const pooled = preparedStatements === 'off'
  const directUrl = options.directUrl ?? (pooled ? undefined : url)
  const { probe, ...limits } = options.replica ?? {}
  return new PgDriver({
    name: 'postgres',
    clock,
    source: pool ?? poolConfig(url!, options, pooled),
    preparing: pooled ? undefined : { names: new StatementNames(), limit: options.preparedLimit ?? 256 },
    direct: directUrl === undefined ? undefined : () => connection(directUrl, options, 'listen'),
    replica:
      options.replicaUrl === undefined
        ? undefined
        : {
            source: poolConfig(options.replicaUrl, options, pooled),
            limits: { maxLagBytes: 16 * 1024 * 1024, maxLagMs: 10_000, checkMs: 2000, ...limits },
            probe,
          },
    startTimeoutMs: options.startTimeoutMs ?? 30_000,
    quietMs: quietOf(options.statementTimeoutMs),
  })
}

/** Longest silence of a connection that owes an answer, before the server is asked what it does. */
function quietOf(statementTimeoutMs = 30_000): number {
  return statementTimeoutMs > 0 ? Math.min(statementTimeoutMs, 10_000) : 10_000
}

function connection(url: string, options: PostgresOptions, role?: string): ClientConfig {
  const name = options.applicationName ?? 'tsforge'
  return {
    connectionString: url,
    application_name: role === undefined ? name : `${name} ${role}`,
    connectionTimeoutMillis: options.poolWaitMs ?? 5000,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
  }
}

function poolConfig(url: string, options: PostgresOptions, pooled: boolean): PoolConfig {
  return {
    ...connection(url, options),
    max: options.max ?? 10,
    idleTimeoutMillis: options.idleMs ?? 30_000,
    maxLifetimeSeconds: Math.ceil((options.lifetimeMs ?? 1_800_000) / 1000),
    // A pooler in transaction mode refuses unknown start-up parameters.
    ...(!pooled && {
      statement_timeout: options.statementTimeoutMs ?? 30_000,
      lock_timeout: options.lockTimeoutMs ?? 10_000,
      idle_in_transaction_session_timeout: options.idleInTransactionTimeoutMs ?? 60_000,
    }),
  }
}
