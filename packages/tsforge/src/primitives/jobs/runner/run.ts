import type { Log } from '../../../kernel/log.ts'
import type { Clock } from '../../../kernel/clock.ts'
import { runWithContext } from '../../../kernel/context.ts'
import type { ClaimedJob, JobsDriver, LeaseId } from '../driver.ts'
import { Steps } from '../steps/replay.ts'
import { JobContext } from './context.ts'
import { JobAborted } from './handler.ts'
import type { AbortReason, JobCall } from './handler.ts'
import type { Kind } from './kind.ts'
import type { Lane } from './lane.ts'
import type { Held } from './leases.ts'

/** What a run needs from whoever runs it. */
export interface RunHost {
  readonly log: Log
  readonly clock: Clock
  readonly driver: JobsDriver
  succeeded(run: Run, output: unknown): void
  failed(run: Run, error: unknown): void
  /** It has something new to tell in `progress`. */
  progressed(run: Run): void
}

/** One run of a job, from start to its report. Signal, logger and context are made when somebody looks at them. */
export class Run implements JobCall {
  readonly job: ClaimedJob
  readonly kind: Kind
  readonly lane: Lane
  held: Held
  readonly startedAt: number
  /** By the monotonic clock: when its signal is aborted, and then when it is left behind. */
  deadline: number
  overtime = false
  /** Why its signal was aborted, if it was. */
  aborted: AbortReason | undefined
  /** Its place is given away: what it still does is ignored. */
  over = false
  /** Moves into a lease of its own at this moment, so its report has to wait. */
  moving = false
  isolated = false
  /** JSON text that waits to be written. */
  newProgress: string | undefined
  progressAt: number = Number.NEGATIVE_INFINITY
  /** When it was asked for. */
  steps: Steps | undefined
  readonly #host: RunHost
  #controller: AbortController | undefined
  #log: Log | undefined

  constructor(host: RunHost, job: ClaimedJob, kind: Kind, lane: Lane, held: Held, now: number, timeoutMs: number) {
    this.#host = host
    this.job = job
    this.kind = kind
    this.lane = lane
    this.held = held
    this.startedAt = now
    this.deadline = now + timeoutMs
  }

  get payload(): unknown {
    return this.job.payload
  }

  get attempt(): number {
    return this.job.attempt
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.aborted !== undefined) this.#controller.abort(new JobAborted(this.aborted))
    }
    return this.#controller.signal
  }

  get log(): Log {
    const { id, kind, attempt } = this.job
    return (this.#log ??= this.#host.log.child({ job: id, kind, attempt }))
  }

  get lease(): LeaseId {
    return this.held.id
  }

  get clock(): Clock {
    return this.#host.clock
  }

  get driver(): JobsDriver {
    return this.#host.driver
  }

  get step(): Steps {
    return (this.steps ??= new Steps(this))
  }

  /** Bound, since handlers take it out of the call. */
  get progress(): (value: unknown) => void {
    return (value) => this.#tell(value)
  }

  #tell(value: unknown): void {
    if (this.over) return
    try {
      const text = JSON.stringify(value) as string | undefined
      if (text === undefined || text.length > 65_536) throw new TypeError('progress takes JSON of at most 64 KiB')
      this.newProgress = text
      this.#host.progressed(this)
    } catch (error) {
      this.log.warn({ err: error }, 'the progress of a job could not be written')
    }
  }

  /** Runs the handler. Whatever it does ends in one call of the host. */
  begin(): void {
    let result: unknown
    try {
      const { job, kind } = this
      // A kind may have been narrowed, or this process be older than the one that added the job.
      if (kind.recheck) kind.job.check(job.payload)
      result = runWithContext(new JobContext(this, job, kind), kind.run, this)
    } catch (error) {
      this.#host.failed(this, error)
      return
    }
    if (isThenable(result)) {
      // Not inside of the context, or the next job would inherit it.
      result.then(
        (output) => this.#host.succeeded(this, output),
        (error: unknown) => this.#host.failed(this, error),
      )
    } else this.#host.succeeded(this, result)
  }

  /** The first reason counts. */
  abort(reason: AbortReason): void {
    if (this.aborted !== undefined) return
    this.aborted = reason
    try {
      this.#controller?.abort(new JobAborted(reason))
    } catch (error) {
      this.log.error({ err: error }, 'a listener of the signal of a job threw')
    }
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'
}
