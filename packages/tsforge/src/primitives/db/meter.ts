import type { Clock } from '../../kernel/clock.ts'
import { ForgeError } from '../../kernel/errors.ts'
import type { Counter, Histogram, Metrics } from '../../kernel/metrics.ts'
import type { DbDriver, Statement } from './driver.ts'
import { queryChannel, txChannel } from './events.ts'
import type { DbQueryEvent, DbTxEvent } from './events.ts'

type Target = DbQueryEvent['target']

const labels: Readonly<Record<Target, { readonly target: Target }>> = {
  primary: { target: 'primary' },
  replica: { target: 'replica' },
}

/** Counts statements and transactions, and tells the diagnostics channels about them. */
export class Meter {
  readonly #clock: Clock
  readonly #duration: Histogram | undefined
  readonly #errors: Counter | undefined
  readonly #transactions: Counter | undefined

  constructor(clock: Clock, metrics: Metrics | undefined, driver: DbDriver) {
    this.#clock = clock
    this.#duration = metrics?.histogram('forge_db_query_duration_seconds', {
      help: 'Time of statements, waiting for a connection included',
      labelNames: ['target'],
    })
    this.#errors = metrics?.counter('forge_db_errors_total', { help: 'Statements that failed', labelNames: ['code'] })
    this.#transactions = metrics?.counter('forge_db_transactions_total', {
      help: 'Transactions by outcome; a retry counts by itself',
      labelNames: ['outcome'],
    })
    if (driver.stats === undefined) return
    metrics?.gauge('forge_db_pool_connections', { help: 'Open connections', collect: () => driver.stats!().total })
    metrics?.gauge('forge_db_pool_idle', {
      help: 'Open connections that nobody holds',
      collect: () => driver.stats!().idle,
    })
    metrics?.gauge('forge_db_pool_waiting', {
      help: 'Callers waiting for a connection',
      collect: () => driver.stats!().waiting,
    })
  }

  start(): number {
    return this.#clock.monotonic()
  }

  end(
    target: Target,
    statement: string | readonly Statement[],
    started: number,
    rowCount: number | null,
    failure: unknown,
  ): void {
    const durationMs = this.#clock.monotonic() - started
    this.#duration?.observe(durationMs / 1000, labels[target])
    const error = failure === undefined ? undefined : failure instanceof ForgeError ? failure.code : 'unknown'
    if (error !== undefined) this.#errors?.add(1, { code: error })
    if (!queryChannel.hasSubscribers) return
    const text = typeof statement === 'string' ? statement : statement.map((item) => item.text).join('; ')
    queryChannel.publish({ target, text, durationMs, rowCount, error } satisfies DbQueryEvent)
  }

  tx(outcome: DbTxEvent['outcome'], attempt: number, started: number): void {
    this.#transactions?.add(1, { outcome })
    if (txChannel.hasSubscribers)
      txChannel.publish({ outcome, attempt, durationMs: this.#clock.monotonic() - started } satisfies DbTxEvent)
  }
}
