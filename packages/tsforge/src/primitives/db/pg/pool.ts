import pg from 'pg'
import type { Client, Pool, PoolConfig } from 'pg'
import type { Clock } from '../../../kernel/clock.ts'
import type { PoolStats, Queryable, QueryResult } from '../driver.ts'
import { dbErrors } from '../errors.ts'
import { tellConnection } from '../events.ts'
import { dbFault, isConnectionLoss, translate } from '../faults.ts'
import { PgConnection, leftOpen, submittable } from './connection.ts'
import type { Preparing } from './connection.ts'
import type { Settle } from './exchange.ts'
import type { Row } from './rows.ts'

/** At most one renewal in this time, so that a server which stays read-only does not cost a reconnection per write. */
const renewalPauseMs = 5000

export interface PgPoolSettings {
  /** Plain settings of a pool of our own, or somebody's live pool. */
  readonly source: PoolConfig | Pool
  readonly preparing: Preparing | undefined
  readonly clock: Clock
}

function isLive(source: PoolConfig | Pool): source is Pool {
  return typeof (source as Partial<Pool>).connect === 'function'
}

const ignore = (): void => {}

/** A pool of `pg` that survives what servers do: restarts, fail-overs, refused connections. */
export class PgPool implements Queryable {
  readonly #settings: PgPoolSettings
  readonly #own: boolean
  #pool: Pool
  #renewedAt = Number.NEGATIVE_INFINITY
  readonly #retiring = new Set<Promise<void>>()
  #closed: Promise<void> | undefined

  constructor(settings: PgPoolSettings) {
    this.#settings = settings
    this.#own = !isLive(settings.source)
    this.#pool = isLive(settings.source) ? adopt(settings.source) : create(settings.source)
  }

  /** One statement on any connection: the hot path, so without a `PgConnection` in between. */
  query<R = Row>(text: string, values?: unknown[]): Promise<QueryResult<R>> {
    const pool = this.#pool
    return new Promise<QueryResult<R>>((resolve, reject) => {
      pool.connect((error, lent, release) => {
        if (error !== undefined && error !== null) return reject(error)
        const client = this.#watch(lent as unknown as Client)
        try {
          const settle: Settle = (failure, results) => {
            release(
              failure === undefined ? leftOpen(client) : this.#isFatal(pool, translate(failure)) || leftOpen(client),
            )
            if (failure === undefined) resolve(results[0] as QueryResult<R>)
            else reject(failure as Error)
          }
          client.query(submittable(client, text, values, this.#settings.preparing, settle))
        } catch (failure) {
          release()
          reject(failure as Error)
        }
      })
    }).catch(refuse)
  }

  connect(): Promise<PgConnection> {
    const pool = this.#pool
    return new Promise<PgConnection>((resolve, reject) => {
      pool.connect((error, client, release) => {
        if (error !== undefined && error !== null) reject(error)
        else resolve(this.#lend(pool, client as unknown as Client, release))
      })
    }).catch(refuse)
  }

  stats(): PoolStats {
    return { total: this.#pool.totalCount, idle: this.#pool.idleCount, waiting: this.#pool.waitingCount }
  }

  close(): Promise<void> {
    this.#closed ??= (async () => {
      if (this.#own) await this.#pool.end()
      await Promise.all(this.#retiring)
    })()
    return this.#closed
  }

  #lend(pool: Pool, client: Client, release: (destroy?: boolean) => void): PgConnection {
    return new PgConnection(this.#watch(client), release, this.#settings.preparing, (error) =>
      this.#isFatal(pool, error),
    )
  }

  /** Without a listener, a connection that dies while it is lent would end the process. Its holder learns of it from its statement. */
  #watch(client: Client): Client {
    if (!watched.has(client)) {
      watched.add(client)
      client.on('error', ignore)
    }
    return client
  }

  /** A primary that became a standby keeps its connections open: only new ones find the new primary. */
  #isFatal(pool: Pool, error: unknown): boolean {
    if (!dbErrors.is(error, 'db.read_only')) return isConnectionLoss(error)
    const now = this.#settings.clock.monotonic()
    if (this.#own && pool === this.#pool && this.#closed === undefined && now - this.#renewedAt >= renewalPauseMs) {
      this.#renewedAt = now
      this.#pool = create(this.#settings.source as PoolConfig)
      const retired: Promise<void> = pool.end().finally(() => this.#retiring.delete(retired))
      this.#retiring.add(retired)
      tellConnection({ kind: 'pool_renewed', cause: error })
    }
    return true
  }
}

const watched = new WeakSet<Client>()

function create(config: PoolConfig): Pool {
  return adopt(new pg.Pool(config))
}

function adopt(pool: Pool): Pool {
  if ((pool as unknown as { options?: { pipeline?: boolean } }).options?.pipeline === true) {
    throw dbErrors.error('db.misconfigured', {
      meta: { reason: 'give the pool without `pipeline: true`; statements are pipelined by the driver itself' },
    })
  }
  // An idle connection died; the pool has dropped it already.
  pool.on('error', (cause) => tellConnection({ kind: 'lost', cause }))
  return pool
}

function refuse(error: unknown): never {
  const message = (error as Error | undefined)?.message
  if (message === 'timeout exceeded when trying to connect') throw dbFault('db.pool_exhausted', error)
  throw translate(error)
}
