import { port } from '../../kernel/plugin.ts'
import type { Port } from '../../kernel/plugin.ts'
import type { DbCapabilities, IsolationLevel, Queryable, QueryResult, Statement } from './driver.ts'

export interface TxOptions {
  /** Default: the server's (read committed). */
  readonly isolation?: IsolationLevel
  readonly readOnly?: boolean
  /** Attempts on serialization failure or deadlock (40001, 40P01), with full jitter. Default 5. */
  readonly attempts?: number
}

/** An open transaction. */
export interface Tx extends Queryable {
  /** Runs `fn` in a savepoint: its failure undoes only its own statements. */
  savepoint<T>(fn: (tx: Tx) => Promise<T>): Promise<T>
  /** Called once after COMMIT has been acknowledged; never on rollback. */
  afterCommit(fn: () => void): void
}

/** What modules hold. Every write helper in the framework takes a `Queryable`, so a `Tx` fits anywhere. */
export interface Db extends Queryable {
  readonly capabilities: DbCapabilities
  /** Runs `fn` in a transaction; commits when it resolves, rolls back when it throws, retries when the server asks for it. */
  tx<T>(fn: (tx: Tx) => Promise<T>, options?: TxOptions): Promise<T>
  /** Runs statements known in advance as one transaction in one flush: all or nothing. */
  pipeline(statements: readonly Statement[]): Promise<QueryResult<Record<string, unknown>>[]>
  /** For reads that tolerate lag: a healthy replica, unless this unit of work has written. */
  readonly read: Queryable
  /** Subscribes to a NOTIFY channel; `onGap` tells that notifications may have been missed. */
  listen(channel: string, onNotify: (payload: string) => void, onGap?: () => void): Promise<() => Promise<void>>
  /** Sends a NOTIFY; inside a transaction it leaves with the commit. */
  notify(channel: string, payload: string, tx?: Queryable): Promise<void>
  start(): Promise<void>
  close(): Promise<void>
}

export const dbPort: Port<Db> = port<Db>('db')
