/** Rows of one statement. `rowCount` counts affected rows for writes. */
export interface QueryResult<Row> {
  readonly rows: Row[]
  readonly rowCount: number | null
  /** First word of the server's command tag, e.g. `INSERT`. */
  readonly command?: string
}

/**
 * The least that a statement needs. A bare `pg` client, pool or transaction fits it as it is, so every write
 * helper can take the caller's transaction, whoever opened it.
 */
export interface Queryable {
  query<Row = Record<string, unknown>>(text: string, values?: unknown[]): Promise<QueryResult<Row>>
}

/** A statement known in advance. */
export interface Statement {
  readonly text: string
  readonly values?: unknown[]
}

export type IsolationLevel = 'read committed' | 'repeatable read' | 'serializable'

export interface DbCapabilities {
  /** LISTEN/NOTIFY works. False behind a pooler in transaction mode without a direct URL. */
  readonly listen: boolean
  /** Several statements can run at once. False on one-connection engines (PGlite). */
  readonly concurrent: boolean
  /** Statements may be named and kept prepared on the server. */
  readonly prepared: boolean
  /** Statements of one connection can be sent without waiting for each answer. */
  readonly pipeline: boolean
  /** A streaming replica serves reads. */
  readonly replica: boolean
}

/** One connection, held by one owner until `release`. */
export interface DbConnection extends Queryable {
  /**
   * Sends all statements in one flush and resolves with their results in order. The first failure rejects;
   * the driver guarantees that statements after it did not take effect when they ran in one transaction.
   */
  pipeline(statements: readonly Statement[]): Promise<QueryResult<Record<string, unknown>>[]>
  /** Gives the connection back. With `broken`, it is closed instead. */
  release(broken?: boolean): void
}

export interface Notification {
  readonly channel: string
  readonly payload: string
}

/** State of a pool at this moment. */
export interface PoolStats {
  readonly total: number
  readonly idle: number
  /** Callers waiting for a connection. */
  readonly waiting: number
}

/** Whether `value` can take statements: our `Db` and `Tx`, a bare `pg` client, pool or pooled client, and alike. */
export function isQueryable(value: unknown): value is Queryable {
  return typeof value === 'object' && value !== null && typeof (value as Partial<Queryable>).query === 'function'
}

/**
 * What a database driver promises. All policy (transactions, retries, savepoints, routing of reads) lives in
 * the facade; a driver only moves statements.
 */
export interface DbDriver extends Queryable {
  readonly name: string
  readonly capabilities: DbCapabilities
  /** Borrows a connection. Waits at most the pool's time limit, then fails with `db.pool_exhausted`. */
  connect(): Promise<DbConnection>
  /** A queryable for reads that tolerate lag, or `undefined` while no healthy replica exists. */
  replica(): Queryable | undefined
  /**
   * Subscribes on a connection of its own which is re-established after loss; `onGap` is called after each
   * reconnection, since notifications sent meanwhile are gone.
   */
  listen(channel: string, onNotify: (n: Notification) => void, onGap: () => void): Promise<() => Promise<void>>
  /** For metrics. */
  stats?(): PoolStats
  /** Opens what must be open before the first query. Idempotent. */
  start(): Promise<void>
  /** Waits for running statements, then closes everything that the driver opened. */
  close(): Promise<void>
}
