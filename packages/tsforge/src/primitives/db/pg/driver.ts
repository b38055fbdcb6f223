import type { Pool, PoolConfig } from 'pg'
import type { Clock } from '../../../kernel/clock.ts'
import { retry } from '../../../kernel/resilience/retry.ts'
import type {
  DbCapabilities,
  DbConnection,
  DbDriver,
  Notification,
  PoolStats,
  Queryable,
  QueryResult,
} from '../driver.ts'
import { dbErrors } from '../errors.ts'
import { isConnectionLoss } from '../faults.ts'
import type { Preparing } from './connection.ts'
import { Listener } from './listener.ts'
import type { DirectConfig } from './listener.ts'
import { PgPool } from './pool.ts'
import { ReplicaWatch, measureLag } from './replica.ts'
import type { ReplicaLag, ReplicaLimits } from './replica.ts'

/** Everything that differs between the drivers which speak to a server through `pg`. */
export interface PgDriverParts {
  readonly name: string
  readonly clock: Clock
  readonly source: PoolConfig | Pool
  readonly preparing: Preparing | undefined
  /** Where LISTEN works; absent when nowhere. */
  readonly direct?: DirectConfig | undefined
  readonly replica?:
    | {
        readonly source: PoolConfig
        readonly limits: ReplicaLimits
        readonly probe?: (() => Promise<ReplicaLag>) | undefined
      }
    | undefined
  /** See `PgPoolSettings`. */
  readonly quietMs?: number | undefined
  /** How long `start` waits for a server that is not there yet. */
  readonly startTimeoutMs: number
}

/** The driver over a pool of real connections. */
export class PgDriver implements DbDriver {
  readonly name: string
  readonly capabilities: DbCapabilities
  readonly #parts: PgDriverParts
  readonly #pool: PgPool
  readonly #listener: Listener | undefined
  readonly #replica: { readonly pool: PgPool; readonly watch: ReplicaWatch; readonly reads: Queryable } | undefined
  #started: Promise<void> | undefined
  readonly #stop = new AbortController()

  constructor(parts: PgDriverParts) {
    const { clock, preparing, replica, quietMs } = parts
    this.name = parts.name
    this.#parts = parts
    this.#pool = new PgPool({ source: parts.source, preparing, clock, quietMs })
    this.#listener = parts.direct && new Listener(parts.direct, clock)
    if (replica !== undefined) {
      const pool = new PgPool({ source: replica.source, preparing, clock })
      const watch = new ReplicaWatch(replica.probe ?? (() => measureLag(this.#pool, pool)), replica.limits, clock)
      this.#replica = { pool, watch, reads: { query: (text, values) => this.#readReplica(text, values) } }
    }
    this.capabilities = {
      listen: this.#listener !== undefined,
      concurrent: true,
      prepared: preparing !== undefined,
      pipeline: true,
      replica: replica !== undefined,
    }
  }

  query<Row = Record<string, unknown>>(text: string, values?: unknown[]): Promise<QueryResult<Row>> {
    return this.#pool.query<Row>(text, values)
  }

  connect(): Promise<DbConnection> {
    return this.#pool.connect()
  }

  replica(): Queryable | undefined {
    return this.#replica?.watch.healthy === true ? this.#replica.reads : undefined
  }

  listen(channel: string, onNotify: (n: Notification) => void, onGap: () => void): Promise<() => Promise<void>> {
    if (this.#listener === undefined) return Promise.reject(dbErrors.error('db.listen_unsupported'))
    return this.#listener.listen(channel, onNotify, onGap)
  }

  stats(): PoolStats {
    return this.#pool.stats()
  }

  start(): Promise<void> {
    this.#started ??= this.#start().catch((error: unknown) => {
      this.#started = undefined
      throw error
    })
    return this.#started
  }

  async close(): Promise<void> {
    this.#stop.abort(dbErrors.error('db.unavailable', { cause: new Error('the driver is closed') }))
    this.#replica?.watch.stop()
    await Promise.all([this.#listener?.close(), this.#replica?.pool.close(), this.#pool.close()])
  }

  async #start(): Promise<void> {
    const { clock, startTimeoutMs } = this.#parts
    const end = clock.monotonic() + startTimeoutMs
    const isLate = (error: unknown): boolean =>
      (isConnectionLoss(error) || dbErrors.is(error, 'db.too_many_connections')) && clock.monotonic() < end
    await retry(() => this.#pool.query('select 1', []), {
      clock,
      signal: this.#stop.signal,
      attempts: Number.POSITIVE_INFINITY,
      retryIf: isLate,
      ignoreRetryAfter: true,
      capMs: 2000,
    })
    // A dead replica is no reason not to start: reads go to the primary.
    await this.#replica?.watch.start()
  }

  async #readReplica<Row>(text: string, values: unknown[] | undefined): Promise<QueryResult<Row>> {
    const { pool, watch } = this.#replica!
    try {
      return await pool.query<Row>(text, values)
    } catch (error) {
      if (isConnectionLoss(error)) watch.suspend(error)
      throw error
    }
  }
}
