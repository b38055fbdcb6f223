import type { ClientConfig } from 'pg'
import { systemClock } from '../../../kernel/clock.ts'
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
import { answers } from './embedded/postmaster.ts'
import { startEmbedded } from './embedded/server.ts'
import type { EmbeddedOptions, EmbeddedServer } from './embedded/server.ts'
import { dbErrors } from '../errors.ts'
import { tellConnection } from '../events.ts'
import { PgDriver } from '../pg/driver.ts'
import { wasRefused } from '../pg/refused.ts'
import { StatementNames } from '../pg/statement-names.ts'

export { binariesPackage, embeddedInstalled } from './embedded/binaries.ts'
export { startEmbedded } from './embedded/server.ts'
export type { EmbeddedOptions, EmbeddedServer } from './embedded/server.ts'

export interface EmbeddedDriverOptions extends EmbeddedOptions {
  /** Database to use, default `postgres`. */
  readonly database?: string
  /** Most connections of this process, default 10. */
  readonly max?: number
  /** Longest wait for a free connection, default 5 s. */
  readonly poolWaitMs?: number
  /** Server-side limits, milliseconds; 0 means none. Defaults 30 s, 10 s, 60 s. */
  readonly statementTimeoutMs?: number
  readonly lockTimeoutMs?: number
  readonly idleInTransactionTimeoutMs?: number
  readonly preparedLimit?: number
}

/**
 * PostgreSQL without installing one: the real server from an npm package, over a Unix socket in the app's folder.
 * A second process of the same app joins the server of the first. One that dies is started again.
 */
export function embedded(options: EmbeddedDriverOptions): DbDriver {
  return new EmbeddedDriver(options)
}

class EmbeddedDriver implements DbDriver {
  readonly name = 'embedded'
  readonly capabilities: DbCapabilities = {
    listen: true,
    concurrent: true,
    prepared: true,
    pipeline: true,
    replica: false,
  }
  readonly #options: EmbeddedDriverOptions
  readonly #clock: Clock
  #server: EmbeddedServer | undefined
  #inner: PgDriver | undefined
  #ensuring: Promise<EmbeddedServer> | undefined
  #opening: Promise<PgDriver> | undefined
  #closed = false
  readonly #stop = new AbortController()

  constructor(options: EmbeddedDriverOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
  }

  query<Row = Record<string, unknown>>(text: string, values?: unknown[]): Promise<QueryResult<Row>> {
    return this.#withServer((inner) => inner.query<Row>(text, values))
  }

  connect(): Promise<DbConnection> {
    return this.#withServer((inner) => inner.connect())
  }

  replica(): Queryable | undefined {
    return undefined
  }

  async listen(channel: string, onNotify: (n: Notification) => void, onGap: () => void): Promise<() => Promise<void>> {
    return (await this.#open()).listen(channel, onNotify, onGap)
  }

  stats(): PoolStats {
    return this.#inner?.stats() ?? { total: 0, idle: 0, waiting: 0 }
  }

  async start(): Promise<void> {
    await this.#open()
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#stop.abort(new Error('the driver is closed'))
    await this.#opening?.catch(() => undefined)
    await this.#inner?.close()
    await this.#ensuring?.catch(() => undefined)
    await this.#server?.stop()
  }

  #open(): Promise<PgDriver> {
    if (this.#inner !== undefined) return Promise.resolve(this.#inner)
    this.#opening ??= this.#create().finally(() => (this.#opening = undefined))
    return this.#opening
  }

  async #create(): Promise<PgDriver> {
    const server = await this.#ensure()
    const {
      database = 'postgres',
      max = 10,
      poolWaitMs = 5000,
      statementTimeoutMs = 30_000,
      lockTimeoutMs = 10_000,
      idleInTransactionTimeoutMs = 60_000,
      preparedLimit = 256,
    } = this.#options
    const connection: ClientConfig = {
      host: server.host,
      port: 5432,
      user: 'postgres',
      database,
      connectionTimeoutMillis: poolWaitMs,
    }
    const inner = new PgDriver({
      name: this.name,
      clock: this.#clock,
      source: {
        ...connection,
        max,
        application_name: 'tsforge',
        statement_timeout: statementTimeoutMs,
        lock_timeout: lockTimeoutMs,
        idle_in_transaction_session_timeout: idleInTransactionTimeoutMs,
      },
      preparing: { names: new StatementNames(), limit: preparedLimit },
      direct: async () => ({ ...connection, host: (await this.#ensure()).host, application_name: 'tsforge listen' }),
      startTimeoutMs: 0,
    })
    try {
      await this.#startOn(inner)
    } catch (error) {
      await inner.close()
      throw error
    }
    this.#inner = inner
    return inner
  }

  /** A server that we joined may end under us, with the process that had started it: then the next one is found. */
  #startOn(inner: PgDriver): Promise<void> {
    return retry(
      async () => {
        await this.#ensure()
        await inner.start()
      },
      {
        clock: this.#clock,
        signal: this.#stop.signal,
        attempts: 12,
        capMs: 2000,
        retryIf: (error) => dbErrors.is(error, 'db.unavailable') || dbErrors.is(error, 'db.too_many_connections'),
        ignoreRetryAfter: true,
      },
    )
  }

  /** The server, started again (or joined) when it is gone. */
  #ensure(): Promise<EmbeddedServer> {
    if (this.#closed)
      return Promise.reject(dbErrors.error('db.unavailable', { cause: new Error('the driver is closed') }))
    this.#ensuring ??= this.#find().finally(() => (this.#ensuring = undefined))
    return this.#ensuring
  }

  async #find(): Promise<EmbeddedServer> {
    const known = this.#server
    if (known !== undefined && (await answers(known.host))) return known
    const server = await startEmbedded({ ...this.#options, signal: this.#stop.signal })
    // It only stood still, or recovered from the crash of a backend: if we had started it, it is ours to end.
    if (known?.pid === server.pid) return known
    this.#server = server
    if (known !== undefined) tellConnection({ kind: 'server_restarted' })
    void server.ended.then(() => {
      if (!this.#closed && this.#server === server)
        void this.#ensure().catch((cause: unknown) => tellConnection({ kind: 'lost', cause }))
    })
    return server
  }

  async #withServer<T>(work: (inner: PgDriver) => Promise<T>): Promise<T> {
    const inner = this.#inner ?? (await this.#open())
    try {
      return await work(inner)
    } catch (error) {
      if (!wasRefused(error) || this.#closed) throw error
      await this.#ensure()
      return work(inner)
    }
  }
}
