import type { Clock, Timer } from '../../../kernel/clock.ts'
import type { Log } from '../../../kernel/log.ts'
import { backoffMs } from '../../../kernel/resilience/retry.ts'
import type { ClaimedJob, JobsDriver, StepResult } from '../driver.ts'
import type { Lane } from './lane.ts'
import type { Meter } from './meter.ts'
import type { Report, Reports } from './reports.ts'
import type { Resolved } from './settings.ts'

/** For so long the store is sure to remember that a worker waits for calls. */
const markMs = 20_000

export interface ExchangeParts {
  readonly driver: JobsDriver
  readonly kinds: readonly string[]
  readonly options: Resolved
  readonly clock: Clock
  readonly log: Log
  readonly meter: Meter
  readonly reports: Reports
  /** The store calls when there is work. */
  listening(): boolean
  /** Whether idle lanes look again by themselves. */
  polling(): boolean
  /** `since`: by the monotonic clock, before the store was asked. */
  receive(lane: Lane, jobs: readonly ClaimedJob[], since: number): void
  /** A statement is answered. */
  answered(): void
  /** It is time to ask again. */
  due(): void
  /** A statement has failed; true where somebody else sees to it. */
  failed(error: unknown): boolean
}

/** The statements of a runner: each takes reports along and brings jobs back. */
export class Exchange {
  readonly #parts: ExchangeParts
  readonly #most: number
  #open = 0
  #failures = 0
  #retry: Timer | undefined

  constructor(parts: ExchangeParts) {
    this.#parts = parts
    this.#most = parts.driver.capabilities.concurrent ? 4 : 1
  }

  /** Statements under way. */
  get open(): number {
    return this.#open
  }

  /** Another statement may go. */
  get ready(): boolean {
    return this.#retry === undefined && this.#open < this.#most
  }

  get failing(): boolean {
    return this.#failures > 0
  }

  stop(): void {
    this.#retry?.cancel()
  }

  /** Reports all that waits, and claims up to `asked`. */
  send(lane: Lane, asked: number): void {
    const { driver, options, clock, log, reports, kinds, listening, receive, answered } = this.#parts
    const want = reports.suspicious ? 0 : asked
    const batch = reports.take()
    const { calls } = lane
    const idle = want > 0 && listening()
    this.#open++
    if (want > 0) lane.claiming++
    lane.incoming += want
    const sent = clock.monotonic()
    const over = (): void => {
      this.#open--
      if (want > 0) lane.claiming--
      lane.incoming -= want
    }
    driver
      .step({
        queue: lane.queue,
        worker: options.worker,
        leaseMs: options.leaseMs,
        kinds,
        want,
        finished: batch.map(finishedOf),
        idle,
      })
      .then(
        (result) => {
          over()
          if (this.#failures > 0) log.info({}, 'the store of jobs answers again')
          this.#failures = 0
          reports.stored(batch, result.late, this.#told)
          if (result.jobs.length > 0) receive(lane, result.jobs, sent)
          if (want > 0) this.#settle(lane, want, result, lane.calls !== calls, idle ? sent : undefined)
          answered()
        },
        (error: unknown) => {
          over()
          this.#failed(batch, error)
        },
      )
      .catch((error: unknown) => log.error({ err: error }, 'the job runner has a fault'))
  }

  readonly #told = ({ run, ending }: Report, late: boolean): void => {
    if (run === undefined || ending === undefined) return
    const { meter } = this.#parts
    if (late) {
      meter.finished(run, { ...ending, outcome: 'late' })
      run.log.warn({ outcome: ending.outcome }, 'the end of a run came too late: its lease had been lost')
      return
    }
    meter.finished(run, ending)
    if (ending.outcome === 'retried') run.log.warn({ error: ending.error }, 'a job failed and will be tried again')
    else if (ending.outcome === 'dead') run.log.error({ error: ending.error }, 'a job is dead')
  }

  /**
   * Whether to ask again at once, or to wait for a call. `called`: one came meanwhile, maybe about what this claim could
   * not see yet. `marked`: when it was sent, if it was to leave word that somebody waits.
   */
  #settle(lane: Lane, want: number, result: StepResult, called: boolean, marked: number | undefined): void {
    const { options, clock, listening } = this.#parts
    const { more, nextMs = Number.POSITIVE_INFINITY, limited, paused } = result
    const found = result.jobs.length
    lane.limited = limited
    lane.paused = paused
    lane.empty = found > 0 ? 0 : lane.empty + 1
    // Only an empty claim leaves word that this worker waits, and a large one of anybody takes it away.
    if (found === 0 && marked !== undefined && !more) lane.markedAt = marked
    else if (found === want) lane.markedAt = Number.NEGATIVE_INFINITY
    const heard = !listening() || clock.monotonic() - lane.markedAt < markMs
    const exhausted = found < want && !more && !called && (found === 0 || heard || limited)
    if (paused || exhausted) this.#rest(lane, Math.min(options.pollMs * (0.8 + 0.2 * Math.random()), nextMs))
    else if (lane.empty > 5) this.#rest(lane, 50)
  }

  #rest(lane: Lane, ms: number): void {
    const { clock, polling, due } = this.#parts
    lane.dry = true
    lane.timer?.cancel()
    if (!polling()) return
    lane.timer = clock.after(Math.max(1, ms), () => {
      lane.wake()
      due()
    })
  }

  #failed(batch: readonly Report[], error: unknown): void {
    const { clock, log, reports, failed, due } = this.#parts
    const refused = reports.again(batch, error)
    if (refused !== undefined)
      log.error({ err: error, job: refused.finished.id }, 'the end of a job cannot be stored and is given up')
    if (failed(error)) return
    if (this.#failures++ === 0) log.warn({ err: error }, 'the store of jobs cannot be reached; trying again')
    const waitMs = reports.suspicious ? 1 : 20 + backoffMs(this.#failures, { capMs: 2000 })
    this.#retry ??= clock.after(waitMs, () => {
      this.#retry = undefined
      due()
    })
  }
}

function finishedOf({ finished }: Report): Report['finished'] {
  return finished
}
