import pg from 'pg'
import type { Client, Pool, PoolConfig } from 'pg'
import type { Clock } from '../../../kernel/clock.ts'
import { ForgeError } from '../../../kernel/errors.ts'
import type { PoolStats, Queryable, QueryResult } from '../driver.ts'
import { dbErrors } from '../errors.ts'
import { tellConnection } from '../events.ts'
import { dbFault, isConnectionLoss, sentFault, translate } from '../faults.ts'
import { PgConnection, leftOpen, submittable } from './connection.ts'
import type { Preparing } from './connection.ts'
import { refusal } from './refused.ts'
import type { Settle } from './submitted.ts'
import type { Row } from './rows.ts'
import { Shares } from './shares.ts'
import type { Share } from './shares.ts'
import { SilenceWatch } from './silence.ts'

/** At most one renewal in this time, so that a server which stays read-only does not cost a reconnection per write. */
const renewalPauseMs = 5000

export interface PgPoolSettings {
  /** Plain settings of a pool of our own, or somebody's live pool. */
  readonly source: PoolConfig | Pool
  readonly preparing: Preparing | undefined
  readonly clock: Clock
  /** A connection that owes an answer is looked at after so long a silence; absent: never. Only for a pool of our own. */
  readonly quietMs?: number | undefined
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
  readonly #silence: SilenceWatch | undefined
  readonly #shares: Shares

  constructor(settings: PgPoolSettings) {
    const { source, clock, quietMs } = settings
    this.#settings = settings
    this.#own = !isLive(source)
    if (quietMs !== undefined && !isLive(source)) this.#silence = new SilenceWatch({ config: source, clock, quietMs })
    this.#pool = this.#open()
    const { max, connectionTimeoutMillis = 0 } = this.#pool.options
    this.#shares = new Shares(max, connectionTimeoutMillis > 0 ? connectionTimeoutMillis : 5000, clock)
  }

  /** One statement on any connection: the hot path, so without a `PgConnection` in between. */
  query<R = Row>(text: string, values?: unknown[]): Promise<QueryResult<R>> {
    const share = this.#shares.take()
    return share instanceof Promise
      ? share.then((taken) => this.#query<R>(text, values, taken))
      : this.#query<R>(text, values, share)
  }

  connect(): Promise<PgConnection> {
    const share = this.#shares.take()
    return share instanceof Promise ? share.then((taken) => this.#connect(taken)) : this.#connect(share)
  }

  #query<R>(text: string, values: unknown[] | undefined, share: Share | undefined): Promise<QueryResult<R>> {
    const pool = this.#pool
    return new Promise<QueryResult<R>>((resolve, reject) => {
      pool.connect((error, lent, release) => {
        if (error !== undefined && error !== null) {
          this.#shares.give(share)
          return reject(error)
        }
        const client = this.#watch(lent as unknown as Client)
        const giveBack = (broken?: boolean): void => {
          release(broken)
          this.#shares.give(share)
        }
        try {
          const settle: Settle = (failure, results) => {
            giveBack(
              failure === undefined ? leftOpen(client) : this.#isFatal(pool, translate(failure)) || leftOpen(client),
            )
            if (failure === undefined) resolve(results[0] as QueryResult<R>)
            else reject(sentFault(failure, text))
          }
          client.query(submittable(client, text, values, this.#settings.preparing, settle))
        } catch (failure) {
          giveBack()
          reject(failure as Error)
        }
      })
    }).catch(refuse)
  }

  #connect(share: Share | undefined): Promise<PgConnection> {
    const pool = this.#pool
    return new Promise<PgConnection>((resolve, reject) => {
      pool.connect((error, client, release) => {
        if (error !== undefined && error !== null) {
          this.#shares.give(share)
          return reject(error)
        }
        const giveBack = (broken: boolean): void => {
          release(broken)
          this.#shares.give(share)
        }
        resolve(this.#lend(pool, client as unknown as Client, giveBack))
      })
    }).catch(refuse)
  }

  stats(): PoolStats {
    return { total: this.#pool.totalCount, idle: this.#pool.idleCount, waiting: this.#pool.waitingCount }
  }

  close(): Promise<void> {
    this.#closed ??= (async () => {
      if (this.#own) await this.#pool.end()
      else this.#pool.off('error', tellLost)
      await Promise.all(this.#retiring)
    })()
    return this.#closed
  }

  #open(): Pool {
    const { source } = this.#settings
    const pool = adopt(isLive(source) ? source : new pg.Pool(source))
    if (this.#silence !== undefined) {
      pool.on('connect', (client) => this.#silence?.add(client as unknown as Client))
      pool.on('remove', (client) => this.#silence?.remove(client as unknown as Client))
    }
    return pool
  }

  #lend(pool: Pool, client: Client, release: (destroy: boolean) => void): PgConnection {
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
      this.#pool = this.#open()
      const retired: Promise<void> = pool.end().finally(() => this.#retiring.delete(retired))
      this.#retiring.add(retired)
      tellConnection({ kind: 'pool_renewed', cause: error })
    }
    return true
  }
}

const watched = new WeakSet<Client>()

function adopt(pool: Pool): Pool {
  if ((pool as unknown as { options?: { pipeline?: boolean } }).options?.pipeline === true) {
    throw dbErrors.error('db.misconfigured', {
      meta: { reason: 'give the pool without `pipeline: true`; statements are pipelined by the driver itself' },
    })
  }
  // An idle connection died; the pool has dropped it already.
  pool.on('error', tellLost)
  return pool
}

function tellLost(cause: Error): void {
  tellConnection({ kind: 'lost', cause })
}

function refuse(error: unknown): never {
  if (error instanceof ForgeError) throw error
  const message = (error as Error | undefined)?.message
  if (message === 'timeout exceeded when trying to connect') throw dbFault('db.pool_exhausted', error)
  throw refusal(error)
}
