import { dbErrors } from '../../db/index.ts'
import type { Finished, JobId } from '../driver.ts'
import type { Ending } from './meter.ts'
import type { Run } from './run.ts'

/** How one job ended, on its way to the store. */
export interface Report {
  readonly finished: Finished
  /** `undefined` for jobs that are handed back without having run. */
  readonly run: Run | undefined
  readonly ending: Ending | undefined
}

const mostPerStatement = 2000

/** Ends of runs that are not stored yet. They wait here through any outage: there are at most as many as jobs in hand. */
export class Reports {
  #waiting: Report[] = []
  /** Parts of a batch that the store has refused, to be told one by one until the faulty report is alone. */
  readonly #suspects: Report[][] = []
  #sent = 0

  /** Neither stored nor under way. */
  get waiting(): number {
    return this.#waiting.length + this.#suspects.length
  }

  /** Not known to be stored. */
  get open(): number {
    return this.waiting + this.#sent
  }

  /** What is told next was refused before: nothing else shall fail with it. */
  get suspicious(): boolean {
    return this.#suspects.length > 0
  }

  add(report: Report): void {
    this.#waiting.push(report)
  }

  take(): readonly Report[] {
    const suspects = this.#suspects.shift()
    if (suspects !== undefined) {
      this.#sent += suspects.length
      return suspects
    }
    let batch = this.#waiting
    if (batch.length > mostPerStatement) batch = this.#waiting.splice(0, mostPerStatement)
    else this.#waiting = []
    this.#sent += batch.length
    return batch
  }

  stored(batch: readonly Report[], late: readonly JobId[], tell: (report: Report, late: boolean) => void): void {
    this.#sent -= batch.length
    if (late.length === 0) {
      for (const report of batch) tell(report, false)
      return
    }
    const refused = new Set(late)
    for (const report of batch) tell(report, refused.has(report.finished.id))
  }

  /**
   * Puts a batch back after a failed statement. When the store refuses the reports themselves, they are halved until
   * the one it cannot take is alone; that one is told as a plain failure, and given up if not even that is taken:
   * its lease then runs out. Gives what was given up.
   */
  again(batch: readonly Report[], error: unknown): Report | undefined {
    this.#sent -= batch.length
    if (batch.length === 0) return undefined
    if (!isRefusal(error)) {
      this.#waiting = [...batch, ...this.#waiting]
      return undefined
    }
    if (batch.length > 1) {
      const middle = batch.length >> 1
      this.#suspects.push(batch.slice(0, middle), batch.slice(middle))
      return undefined
    }
    const report = batch[0]!
    const { finished, run } = report
    if (finished.as === 'failed' && finished.error === refused) return report
    const { id, lease } = finished
    this.#suspects.push([
      {
        finished: { id, lease, as: 'failed', error: refused, delayMs: 60_000 },
        run,
        ending: { outcome: 'retried', runMs: report.ending?.runMs ?? 0, error: refused },
      },
    ])
    return undefined
  }
}

const refused = { name: 'ReportRefused', message: 'The store could not take how this run ended.' }

/** The statement is at fault, and not the way to the store. */
function isRefusal(error: unknown): boolean {
  return (
    dbErrors.is(error, 'db.query_failed') ||
    dbErrors.is(error, 'db.check_violation') ||
    dbErrors.is(error, 'db.unique_violation')
  )
}
