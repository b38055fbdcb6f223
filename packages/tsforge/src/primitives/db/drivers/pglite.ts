import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { PGlite } from '@electric-sql/pglite'
import pg from 'pg'
import type { ClientConfig, PoolConfig } from 'pg'
import { systemClock } from '../../../kernel/clock.ts'
import type { Clock } from '../../../kernel/clock.ts'
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
import { PgDriver } from '../pg/driver.ts'
import { StatementNames } from '../pg/statement-names.ts'

export interface PgliteOptions {
  /** Folder of the data; absent: in memory, gone with the process. */
  readonly dir?: string | undefined
  /** A live instance instead; you close it. */
  readonly pglite?: PGlite
  /** Longest wait for the one connection, default 5 s. */
  readonly poolWaitMs?: number
  readonly preparedLimit?: number
  readonly clock?: Clock
}

/**
 * PostgreSQL compiled to WebAssembly (package `@electric-sql/pglite`): runs everywhere, with one connection, inside
 * this process and on its main thread. For development and tests where the embedded server has no binary.
 */
export function pglite(options: PgliteOptions = {}): DbDriver {
  return new PgliteDriver(options)
}

interface Engine {
  readonly lite: PGlite
  /** Ends our subscription to its notifications. */
  readonly deaf: () => void
  readonly inner: PgDriver
}

type Subscriber = (n: Notification) => void

function quote(channel: string): string {
  return `"${channel.replaceAll('"', '""')}"`
}

class PgliteDriver implements DbDriver {
  readonly name = 'pglite'
  readonly capabilities: DbCapabilities = {
    listen: true,
    concurrent: false,
    prepared: true,
    pipeline: true,
    replica: false,
  }
  readonly #options: PgliteOptions
  #engine: Engine | undefined
  #opening: Promise<Engine> | undefined
  readonly #channels = new Map<string, Set<Subscriber>>()

  constructor(options: PgliteOptions) {
    this.#options = options
  }

  async query<Row = Record<string, unknown>>(text: string, values?: unknown[]): Promise<QueryResult<Row>> {
    return (this.#engine ?? (await this.#open())).inner.query<Row>(text, values)
  }

  async connect(): Promise<DbConnection> {
    return (this.#engine ?? (await this.#open())).inner.connect()
  }

  replica(): Queryable | undefined {
    return undefined
  }

  async listen(channel: string, onNotify: (n: Notification) => void): Promise<() => Promise<void>> {
    const { inner } = await this.#open()
    const subscribers = this.#channels.get(channel) ?? new Set()
    this.#channels.set(channel, subscribers)
    // Own entry per call, so that the same function may subscribe twice.
    const subscriber: Subscriber = (n) => onNotify(n)
    subscribers.add(subscriber)
    // PGlite's own `listen` loses channels whose name needs quotes.
    if (subscribers.size === 1) await inner.query(`listen ${quote(channel)}`)
    return async () => {
      if (!subscribers.delete(subscriber) || subscribers.size > 0) return
      this.#channels.delete(channel)
      await inner.query(`unlisten ${quote(channel)}`)
    }
  }

  stats(): PoolStats {
    return this.#engine?.inner.stats() ?? { total: 0, idle: 0, waiting: 0 }
  }

  async start(): Promise<void> {
    await this.#open()
  }

  async close(): Promise<void> {
    const engine = await this.#opening?.catch(() => undefined)
    await engine?.inner.close()
    engine?.deaf()
    if (this.#options.pglite === undefined && engine?.lite.closed === false) await engine.lite.close()
  }

  #open(): Promise<Engine> {
    this.#opening ??= this.#create().catch((error: unknown) => {
      this.#opening = undefined
      throw error
    })
    return this.#opening
  }

  async #create(): Promise<Engine> {
    const { dir, poolWaitMs = 5000, preparedLimit = 256, clock = systemClock } = this.#options
    const { PGlite, createPgConfig } = await load()
    if (dir !== undefined) await mkdir(dirname(dir), { recursive: true, mode: 0o700 })
    const lite = this.#options.pglite ?? (await PGlite.create(dir === undefined ? {} : { dataDir: dir }))
    const deaf = lite.onNotification((channel, payload) => {
      for (const subscriber of this.#channels.get(channel) ?? []) subscriber({ channel, payload })
    })
    // One wire per client: they must not hear each other's end.
    class LiteClient extends pg.Client {
      constructor(config: ClientConfig) {
        super({ ...config, ...createPgConfig(lite) } as ClientConfig)
      }
    }
    const inner = new PgDriver({
      name: this.name,
      clock,
      source: {
        Client: LiteClient,
        max: 1,
        connectionTimeoutMillis: poolWaitMs,
        idleTimeoutMillis: 0,
        // A new client continues the same session: it must not inherit a transaction or statements.
        onConnect: async (client: { query(text: string): Promise<unknown> }) =>
          void (await client.query('rollback; deallocate all')),
      } as unknown as PoolConfig,
      preparing: { names: new StatementNames(), limit: preparedLimit },
      startTimeoutMs: 0,
    })
    try {
      await inner.start()
    } catch (error) {
      deaf()
      await inner.close()
      if (this.#options.pglite === undefined) await lite.close()
      throw error
    }
    this.#engine = { lite, inner, deaf }
    return this.#engine
  }
}

async function load() {
  try {
    const [{ PGlite }, { createPgConfig }] = await Promise.all([
      import('@electric-sql/pglite'),
      import('@electric-sql/pglite/node-postgres'),
    ])
    return { PGlite, createPgConfig }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error
    throw dbErrors.error('db.driver_missing', { meta: { package: '@electric-sql/pglite' }, cause: error })
  }
}

/** Whether the package is there. */
export function pgliteInstalled(): boolean {
  try {
    import.meta.resolve('@electric-sql/pglite')
    return true
  } catch {
    return false
  }
}
