import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import type { Metrics } from '../../kernel/metrics.ts'
import { port } from '../../kernel/plugin.ts'
import type { Port } from '../../kernel/plugin.ts'
import type { DbCapabilities, DbConnection, IsolationLevel, Queryable, QueryResult, Statement } from './driver.ts'

export interface TxOptions {
  /** Default: the server's (read committed). */
  readonly isolation?: IsolationLevel
  readonly readOnly?: boolean
  /** Attempts on serialization failure or deadlock (40001, 40P01), with full jitter. Default 5. */
  readonly attempts?: number
}

/** An open transaction. Statements asked for at once run one after the other. */
export interface Tx extends Queryable {
  /** Runs `fn` in a savepoint: its failure undoes only its own statements. */
  savepoint<T>(fn: (tx: Tx) => Promise<T>): Promise<T>
  /** Statements known in advance, in one flush. The first failure rejects and fails the transaction (or its savepoint). */
  pipeline(statements: readonly Statement[]): Promise<QueryResult<Record<string, unknown>>[]>
  /** Called once after COMMIT has been acknowledged; never on rollback, nor when its savepoint was undone. */
  afterCommit(fn: () => void): void
}

/** What modules hold. Every write helper in the framework takes a `Queryable`, so a `Tx` fits anywhere. */
export interface Db extends Queryable {
  readonly capabilities: DbCapabilities
  /**
   * Runs `fn` in a transaction; commits when it resolves, rolls back when it throws, and runs it again from the start
   * when the server asks for it: `fn` must have no other effects than its statements and `afterCommit`. A `tx` inside
   * a `tx` is another transaction on another connection; to nest, pass the `Tx` along and use `savepoint`.
   * When the connection is lost during COMMIT (or under a write outside of any transaction) nobody knows the outcome: `db.commit_unknown`, never run again.
   */
  tx<T>(fn: (tx: Tx) => Promise<T>, options?: TxOptions): Promise<T>
  /** Runs statements known in advance as one transaction in one flush: all or nothing. */
  pipeline(statements: readonly Statement[]): Promise<QueryResult<Record<string, unknown>>[]>
  /** For reads that tolerate lag: a healthy replica, unless this unit of work has written. */
  readonly read: Queryable
  /** Subscribes to a NOTIFY channel; `onGap` tells that notifications may have been missed. */
  listen(channel: string, onNotify: (payload: string) => void, onGap?: () => void): Promise<() => Promise<void>>
  /** Sends a NOTIFY; inside a transaction it leaves with the commit. */
  notify(channel: string, payload: string, tx?: Queryable): Promise<void>
  /** Borrows a session for what needs one (advisory locks, migrations). Release it soon; on PGlite it is the only one. */
  connect(): Promise<DbConnection>
  start(): Promise<void>
  close(): Promise<void>
}

export interface DbSettings {
  readonly clock?: Clock
  readonly log?: Log
  readonly metrics?: Metrics
}

export const dbPort: Port<Db> = port<Db>('db', () => import('./plugin.ts').then((module) => module.database()))
