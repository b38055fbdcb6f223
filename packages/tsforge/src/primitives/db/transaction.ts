import type { Log } from '../../kernel/log.ts'
import type { Tx } from './facade.ts'
import type { DbConnection, QueryResult, Statement } from './driver.ts'
import { dbErrors } from './errors.ts'
import type { Meter } from './meter.ts'

type Row = Record<string, unknown>
export type Hooks = (() => void)[]

/** State that a transaction and its savepoints share. */
export interface Unit {
  readonly connection: DbConnection
  readonly meter: Meter
  /** BEGIN, until the first statement takes it along in its flush. */
  begin: string | undefined
  savepoints: number
  /** The last failure of a statement, for a COMMIT that turns out to be a ROLLBACK. */
  failure: unknown
}

/**
 * One level of a transaction: the transaction itself or a savepoint in it. While a savepoint is open, only its own
 * `Tx` may be used: statements of the outer one would be undone with it.
 */
export class Transaction implements Tx {
  readonly #unit: Unit
  readonly #hooks: Hooks
  #open = true
  #inner = false

  constructor(unit: Unit, hooks: Hooks) {
    this.#unit = unit
    this.#hooks = hooks
  }

  async query<R = Row>(text: string, values?: unknown[]): Promise<QueryResult<R>> {
    this.#check()
    const started = this.#unit.meter.start()
    try {
      const result = await this.#send<R>(text, values)
      this.#unit.meter.end('primary', text, started, result.rowCount, undefined)
      return result
    } catch (error) {
      this.#unit.failure = error
      this.#unit.meter.end('primary', text, started, null, error)
      throw error
    }
  }

  async pipeline(statements: readonly Statement[]): Promise<QueryResult<Row>[]> {
    this.#check()
    const { connection, begin, meter } = this.#unit
    this.#unit.begin = undefined
    const started = meter.start()
    try {
      const results = await connection.pipeline(begin === undefined ? statements : [{ text: begin }, ...statements])
      meter.end('primary', statements, started, null, undefined)
      return begin === undefined ? results : results.slice(1)
    } catch (error) {
      this.#unit.failure = error
      meter.end('primary', statements, started, null, error)
      throw error
    }
  }

  async savepoint<T>(fn: (tx: Tx) => Promise<T>): Promise<T> {
    this.#check()
    this.#inner = true
    const name = `s${++this.#unit.savepoints}`
    const hooks: Hooks = []
    const inner = new Transaction(this.#unit, hooks)
    const { connection } = this.#unit
    try {
      await this.#send(`savepoint ${name}`, [])
      const value = await fn(inner)
      inner.close()
      await connection.query(`release savepoint ${name}`, [])
      this.#hooks.push(...hooks)
      return value
    } catch (error) {
      inner.close()
      // When this fails the connection is gone, and the error at hand says why.
      await connection
        .pipeline([{ text: `rollback to savepoint ${name}` }, { text: `release savepoint ${name}` }])
        .catch(() => undefined)
      throw error
    } finally {
      this.#inner = false
    }
  }

  afterCommit(fn: () => void): void {
    this.#check()
    this.#hooks.push(fn)
  }

  close(): void {
    this.#open = false
  }

  #check(): void {
    if (!this.#open) throw dbErrors.error('db.tx_closed')
    if (this.#inner) throw dbErrors.error('db.savepoint_open')
  }

  /** The first statement takes BEGIN along in its flush, which saves a round trip. */
  async #send<R>(text: string, values: unknown[] | undefined): Promise<QueryResult<R>> {
    const { connection, begin } = this.#unit
    if (begin === undefined) return connection.query<R>(text, values)
    this.#unit.begin = undefined
    const results =
      values === undefined
        ? await Promise.all([connection.query(begin), connection.query(text)])
        : await connection.pipeline([{ text: begin }, { text, values }])
    return results[1] as QueryResult<R>
  }
}

/** Runs hooks after a commit. What they throw cannot undo it, so it is logged. */
export function runHooks(hooks: Hooks, log: Log): void {
  for (const hook of hooks) guarded(hook, log, 'a hook after commit failed')
}

/** Calls what is not ours and logs its failure, also the one of an async function, which no type keeps out. */
export function guarded(fn: () => unknown, log: Log, message: string): void {
  const failed = (error: unknown): void => log.error({ err: error }, message)
  try {
    const result = fn()
    if (result instanceof Promise) result.catch(failed)
  } catch (error) {
    failed(error)
  }
}
