import { AsyncLocalStorage } from 'node:async_hooks'
import { systemClock } from '../../kernel/clock.ts'
import type { Clock } from '../../kernel/clock.ts'
import { currentContext } from '../../kernel/context.ts'
import { silentLog } from '../../kernel/log.ts'
import type { Log } from '../../kernel/log.ts'
import { retry } from '../../kernel/resilience/retry.ts'
import type { Db, DbSettings, Tx, TxOptions } from './facade.ts'
import type { DbCapabilities, DbConnection, DbDriver, Queryable, QueryResult, Statement } from './driver.ts'
import { dbErrors } from './errors.ts'
import { canWrite, dbFault, isConnectionLoss, isRetryable } from './faults.ts'
import { Meter } from './meter.ts'
import { Transaction, guarded, runHooks } from './transaction.ts'
import type { Hooks, Unit } from './transaction.ts'

export { dbPort } from './facade.ts'
export type { Db, DbSettings, Tx, TxOptions } from './facade.ts'

type Row = Record<string, unknown>

const defaultAttempts = 5

/** Set while a transaction holds the only connection of a driver that has no second one. */
const holding = new AsyncLocalStorage<{ open: boolean }>()

/** The facade over a driver: transactions, retries, savepoints and the routing of reads live here, once for all drivers. */
export function createDb(driver: DbDriver, settings: DbSettings = {}): Db {
  return new Facade(driver, settings)
}

class Facade implements Db {
  readonly capabilities: DbCapabilities
  readonly read: Queryable
  readonly #driver: DbDriver
  readonly #clock: Clock
  readonly #log: Log
  readonly #meter: Meter

  constructor(driver: DbDriver, { clock = systemClock, log = silentLog, metrics }: DbSettings) {
    this.#driver = driver
    this.#clock = clock
    this.#log = log
    this.#meter = new Meter(clock, metrics, driver)
    this.capabilities = driver.capabilities
    this.read = { query: <R>(text: string, values?: unknown[]) => this.#read<R>(text, values) }
  }

  async query<R = Row>(text: string, values?: unknown[]): Promise<QueryResult<R>> {
    try {
      return await this.#run<R>(text, values)
    } finally {
      // Also after a failure: a write whose outcome nobody knows must not be looked for on a replica.
      if (canWrite(text)) markWritten()
    }
  }

  async pipeline(statements: readonly Statement[]): Promise<QueryResult<Row>[]> {
    try {
      return await this.#retried(defaultAttempts, () => this.#pipelineOnce(statements))
    } finally {
      markWritten()
    }
  }

  tx<T>(fn: (tx: Tx) => Promise<T>, options: TxOptions = {}): Promise<T> {
    return this.#retried(options.attempts ?? defaultAttempts, (attempt) => this.#txOnce(fn, options, attempt))
  }

  async listen(
    channel: string,
    onNotify: (payload: string) => void,
    onGap: () => void = () => {},
  ): Promise<() => Promise<void>> {
    this.#checkFree()
    return this.#driver.listen(
      channel,
      ({ payload }) => this.#tell(() => onNotify(payload)),
      () => this.#tell(onGap),
    )
  }

  async notify(channel: string, payload: string, tx?: Queryable): Promise<void> {
    await (tx ?? this).query('select pg_notify($1, $2)', [channel, payload])
  }

  async connect(): Promise<DbConnection> {
    this.#checkFree()
    return this.#driver.connect()
  }

  start(): Promise<void> {
    return this.#driver.start()
  }

  close(): Promise<void> {
    return this.#driver.close()
  }

  async #run<R>(text: string, values: unknown[] | undefined, again = true): Promise<QueryResult<R>> {
    this.#checkFree()
    const started = this.#meter.start()
    try {
      const result = await this.#driver.query<R>(text, values)
      this.#meter.end('primary', text, started, result.rowCount, undefined)
      return result
    } catch (error) {
      this.#meter.end('primary', text, started, null, error)
      // The plan was refused before it ran, so running it again cannot do anything twice.
      if (again && dbErrors.is(error, 'db.stale_plan')) return this.#run<R>(text, values, false)
      throw error
    }
  }

  /** Reads that tolerate lag. Whatever is wrong with the replica, the primary answers. */
  async #read<R>(text: string, values: unknown[] | undefined): Promise<QueryResult<R>> {
    const replica = currentContext()?.wrote === true ? undefined : this.#driver.replica()
    if (replica === undefined) return this.#run<R>(text, values)
    const started = this.#meter.start()
    try {
      const result = await replica.query<R>(text, values)
      this.#meter.end('replica', text, started, result.rowCount, undefined)
      return result
    } catch (error) {
      this.#meter.end('replica', text, started, null, error)
      if (!replicaTrouble.some((code) => dbErrors.is(error, code))) throw error
      return this.#run<R>(text, values)
    }
  }

  async #pipelineOnce(statements: readonly Statement[]): Promise<QueryResult<Row>[]> {
    this.#checkFree()
    const started = this.#meter.start()
    const connection = await this.#driver.connect()
    try {
      const results = await connection.pipeline(statements)
      this.#meter.end('primary', statements, started, null, undefined)
      return results
    } catch (error) {
      this.#meter.end('primary', statements, started, null, error)
      throw isConnectionLoss(error) ? dbFault('db.commit_unknown', error) : error
    } finally {
      connection.release()
    }
  }

  async #txOnce<T>(fn: (tx: Tx) => Promise<T>, options: TxOptions, attempt: number): Promise<T> {
    this.#checkFree()
    const started = this.#meter.start()
    const connection = await this.#driver.connect()
    const unit: Unit = { connection, meter: this.#meter, begin: beginText(options), savepoints: 0, failure: undefined }
    const hooks: Hooks = []
    const tx = new Transaction(unit, hooks)
    const hold = { open: true }
    let broken = false
    try {
      const value = await (this.capabilities.concurrent ? fn(tx) : holding.run(hold, fn, tx))
      tx.close()
      if (unit.begin === undefined) await commit(unit)
      this.#meter.tx('committed', attempt, started)
      if (options.readOnly !== true) markWritten()
      return value
    } catch (error) {
      tx.close()
      hooks.length = 0
      if (dbErrors.is(error, 'db.commit_unknown')) markWritten()
      if (unit.begin === undefined) broken = await rollback(connection)
      this.#meter.tx(
        dbErrors.is(error, 'db.commit_unknown') ? 'unknown' : isRetryable(error) ? 'retried' : 'rolled_back',
        attempt,
        started,
      )
      throw options.readOnly === true && dbErrors.is(error, 'db.read_only')
        ? dbErrors.error('db.read_only_tx', { cause: error })
        : error
    } finally {
      hold.open = false
      connection.release(broken)
      runHooks(hooks, this.#log)
    }
  }

  #retried<T>(attempts: number, work: (attempt: number) => Promise<T>): Promise<T> {
    return retry(({ number }) => work(number), {
      clock: this.#clock,
      attempts,
      retryIf: isRetryable,
      ignoreRetryAfter: true,
      baseMs: 10,
      capMs: 500,
    })
  }

  #checkFree(): void {
    if (!this.capabilities.concurrent && holding.getStore()?.open === true) throw dbErrors.error('db.nested_connection')
  }

  #tell(fn: () => unknown): void {
    guarded(fn, this.#log, 'a subscriber of a notification failed')
  }
}

const replicaTrouble = [
  'db.unavailable',
  'db.pool_exhausted',
  'db.too_many_connections',
  'db.conflict',
  'db.read_only',
  'db.stale_plan',
  'db.misconfigured',
] as const

function beginText({ isolation, readOnly }: TxOptions): string {
  return `begin${isolation === undefined ? '' : ` isolation level ${isolation}`}${readOnly === true ? ' read only' : ''}`
}

async function commit(unit: Unit): Promise<void> {
  const result = await unit.connection.query('commit', []).catch((error: unknown) => {
    throw isConnectionLoss(error) ? dbFault('db.commit_unknown', error) : error
  })
  // The server answers COMMIT of a failed transaction by rolling back, without an error.
  if (result.command !== 'ROLLBACK') return
  throw isRetryable(unit.failure) ? unit.failure : dbErrors.error('db.tx_failed', { cause: unit.failure })
}

/** Returns whether the connection is of no more use. */
async function rollback(connection: DbConnection): Promise<boolean> {
  try {
    await connection.query('rollback', [])
    return false
  } catch {
    return true
  }
}

function markWritten(): void {
  const context = currentContext()
  if (context !== undefined) context.wrote = true
}
