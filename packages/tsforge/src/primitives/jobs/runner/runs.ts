import type { Clock } from '../../../kernel/clock.ts'
import type { Log } from '../../../kernel/log.ts'
import type { ClaimedJob, JobId, JobsDriver } from '../driver.ts'
import { Deadlines } from './deadlines.ts'
import { failure, released, success } from './ending.ts'
import { JobAborted } from './handler.ts'
import type { Kind } from './kind.ts'
import type { Lane } from './lane.ts'
import type { Lanes } from './lanes.ts'
import type { Held, Leases } from './leases.ts'
import type { Meter } from './meter.ts'
import { ProgressWriter } from './progress.ts'
import type { Report, Reports } from './reports.ts'
import { Run } from './run.ts'
import type { RunHost } from './run.ts'
import type { Resolved } from './settings.ts'

export interface RunsParts {
  readonly driver: JobsDriver
  readonly kinds: ReadonlyMap<string, Kind>
  readonly options: Resolved
  readonly clock: Clock
  readonly log: Log
  readonly meter: Meter
  readonly lanes: Lanes
  readonly leases: Leases
  readonly reports: Reports
  /** A place has come free. */
  ended(): void
  /** There is a report that nothing else tells of. */
  reported(): void
}

/** The handlers at work: how they begin, how they end, and what becomes of that. */
export class Runs implements RunHost {
  readonly log: Log
  readonly clock: Clock
  readonly driver: JobsDriver
  readonly running: Set<Run> = new Set<Run>()
  /** How many have ended. */
  count = 0
  readonly #parts: RunsParts
  readonly #deadlines: Deadlines
  readonly #progress: ProgressWriter
  /** Ends that wait for their job's new lease. */
  readonly #parked = new Map<Run, () => Report>()
  /** In stock, and somebody wants them ended. */
  readonly #unwanted = new Set<JobId>()

  constructor(parts: RunsParts) {
    this.log = parts.log
    this.clock = parts.clock
    this.driver = parts.driver
    this.#parts = parts
    this.#deadlines = new Deadlines(parts.clock, this.running, (run) => this.#leaveBehind(run))
    this.#progress = new ProgressWriter(parts.driver, parts.clock)
  }

  /** Runs, and ends that cannot be told yet. */
  get open(): number {
    return this.running.size + this.#parked.size
  }

  begin(lane: Lane, job: ClaimedJob, held: Held): void {
    const { kinds, options, clock, leases, reports, meter } = this.#parts
    const kind = kinds.get(job.kind)
    const now = clock.monotonic()
    // After a handler that blocked the event loop, no timer has had a chance to tell.
    if (now >= held.until) {
      for (const lost of leases.expired(now)) this.lost(lost, true)
      reports.add(released(job.id, held.id))
      return
    }
    if (kind === undefined || this.#unwanted.delete(job.id)) {
      const { id } = job
      leases.release(held)
      reports.add(
        kind === undefined
          ? released(id, held.id)
          : { finished: { id, lease: held.id, as: 'cancelled' }, run: undefined, ending: undefined },
      )
      return
    }
    const run = new Run(this, job, kind, lane, held, now, job.timeoutMs ?? kind.job.timeoutMs ?? options.timeoutMs)
    this.running.add(run)
    lane.running++
    this.#deadlines.watch(run)
    meter.started(run)
    run.begin()
  }

  succeeded(run: Run, output: unknown): void {
    if (!run.over) this.#end(run, (now) => success(run, output, now))
  }

  failed(run: Run, error: unknown): void {
    if (!run.over) this.#end(run, (now) => failure(run, error, now))
  }

  progressed(run: Run): void {
    this.#progress.progressed(run)
  }

  cancel(id: JobId): void {
    for (const run of [...this.running]) if (run.job.id === id) return run.abort('cancelled')
    if (this.#parts.lanes.has(id)) this.#unwanted.add(id)
  }

  /** The lease of a run has changed, or could not: a report that waited for it may go. */
  moved(run: Run): void {
    const report = this.#parked.get(run)
    if (report === undefined) return
    this.#parked.delete(run)
    this.#parts.leases.release(run.held)
    this.#parts.reports.add(report())
    this.#parts.reported()
  }

  /** A lease is gone: what runs in it is told, what waits is let go. */
  lost(held: Held, expired: boolean): void {
    const { lanes, reports } = this.#parts
    let jobs = 0
    for (const { id } of lanes.drop(held)) {
      jobs++
      // Honoured where the store is not as sure as we are that it is lost.
      if (expired) reports.add(released(id, held.id))
    }
    for (const run of [...this.running]) {
      if (run.held !== held) continue
      jobs++
      run.abort('lease_lost')
    }
    if (jobs > 0) this.log.warn({ jobs, expired }, 'a lease was lost: its jobs may run elsewhere')
  }

  abortAll(): void {
    for (const run of [...this.running]) run.abort('shutdown')
  }

  /** Ends all as if their handlers had given up; what those still do is ignored. */
  abandonAll(): void {
    for (const run of [...this.running]) this.failed(run, new JobAborted('shutdown'))
    this.#deadlines.stop()
  }

  #end(run: Run, report: (now: number) => Report): void {
    const { clock, leases, reports, ended } = this.#parts
    run.over = true
    const now = clock.monotonic()
    this.running.delete(run)
    const { lane } = run
    lane.running--
    lane.measured(now - run.startedAt)
    // What it held of a limit can go to the next.
    if (lane.limited && lane.dry) lane.wake()
    this.count++
    if (run.newProgress !== undefined) this.#progress.forget(run)
    if (run.moving) this.#parked.set(run, () => report(now))
    else {
      leases.release(run.held)
      reports.add(report(now))
    }
    ended()
  }

  /** Its handler does not end although its signal was aborted. Its place is needed. */
  #leaveBehind(run: Run): void {
    const afterMs = Math.round(this.clock.monotonic() - run.startedAt)
    run.log.error({ afterMs }, 'a handler ignores its signal and was left behind')
    this.failed(run, new JobAborted('timeout'))
  }
}
