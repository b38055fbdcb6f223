import type { Clock, Timer } from '../../../kernel/clock.ts'
import type { Log } from '../../../kernel/log.ts'
import type { JobId, JobsDriver } from '../driver.ts'
import type { Held, Leases } from './leases.ts'
import type { Meter } from './meter.ts'
import type { Run } from './run.ts'
import type { Resolved } from './settings.ts'

const rescueMs = 1000
const statsMs = 15_000
/** What statistics may take of the time, however many jobs there are. */
const statsShare = 100

export interface WatchParts {
  readonly driver: JobsDriver
  readonly clock: Clock
  readonly log: Log
  readonly meter: Meter
  readonly options: Resolved
  readonly leases: Leases
  readonly running: ReadonlySet<Run>
  /** Reports that are not stored yet, whose leases have to live on. */
  open(): number
  lost(held: Held, expired: boolean): void
  cancel(id: JobId): void
  /** Its lease has changed, or could not: a report that waited for it may go. */
  moved(run: Run): void
  /** About once a second. */
  tick(now: number): void
}

/** Keeps the leases of a runner alive, tells which are lost, and ends those of processes that have died. */
export class Watch {
  readonly #parts: WatchParts
  readonly #timers: Timer[] = []
  #retry: Timer | undefined
  #stats: Timer | undefined
  #beating = false
  #rescuing = false
  #failures = 0
  #stopped = false

  constructor(parts: WatchParts) {
    this.#parts = parts
  }

  start(): void {
    const { clock, options, meter } = this.#parts
    const thirdMs = options.leaseMs / 3
    this.#timers.push(
      clock.every(thirdMs, () => this.#beat()),
      clock.every(Math.min(1000, thirdMs), () => this.#tick()),
      clock.every(rescueMs, () => this.#rescue()),
    )
    if (meter.gauges) this.#stats = clock.after(1000, () => this.#measure())
  }

  stop(): void {
    this.#stopped = true
    for (const timer of this.#timers) timer.cancel()
    this.#retry?.cancel()
    this.#stats?.cancel()
  }

  #tick(): void {
    const now = this.#parts.clock.monotonic()
    for (const held of this.#parts.leases.expired(now)) this.#parts.lost(held, true)
    this.#parts.tick(now)
  }

  #beat(): void {
    const { driver, clock, log, options, leases, open, lost, cancel } = this.#parts
    if (this.#beating || this.#stopped || (leases.size === 0 && open() === 0)) return
    this.#beating = true
    this.#retry?.cancel()
    const asked = leases.ids()
    const sent = clock.monotonic()
    driver.heartbeat(options.worker, options.leaseMs).then(
      (answer) => {
        this.#beating = false
        this.#failures = 0
        for (const held of leases.renewed(asked, answer.leases, sent + options.leaseMs)) lost(held, false)
        for (const id of answer.cancelled) cancel(id)
        this.#isolate()
      },
      (error: unknown) => {
        this.#beating = false
        if (this.#stopped) return
        if (this.#failures++ === 0) log.warn({ err: error }, 'leases of jobs could not be prolonged; trying again')
        this.#retry = clock.after(options.leaseMs / 15, () => this.#beat())
      },
    )
  }

  /** Jobs that run long leave their batch, so that the others in it do not hang on them. */
  #isolate(): void {
    const { driver, clock, options, leases, running, moved } = this.#parts
    const now = clock.monotonic()
    const runs: Run[] = []
    for (const run of running) {
      if (run.isolated || run.moving || run.held.lost || run.held.left < 2) continue
      if (now - run.startedAt >= options.leaseMs / 2) runs.push(run)
    }
    if (runs.length === 0) return
    for (const run of runs) run.moving = true
    driver
      .isolate(
        options.worker,
        options.leaseMs,
        runs.map(({ job, held }) => ({ id: job.id, lease: held.id })),
      )
      .then(
        (ids) => {
          for (const [i, run] of runs.entries()) {
            const id = ids[i]
            run.isolated = true
            if (id === undefined) run.abort('lease_lost')
            else run.held = leases.split(run.held, id, now + options.leaseMs)
          }
        },
        () => {},
      )
      .finally(() => {
        for (const run of runs) {
          run.moving = false
          moved(run)
        }
      })
      .catch((error: unknown) => this.#parts.log.error({ err: error }, 'the watch over jobs failed'))
  }

  #rescue(): void {
    const { driver, options, meter, log } = this.#parts
    if (this.#rescuing) return
    this.#rescuing = true
    driver
      .rescue(options.rescueBackoff)
      .then(
        (rescued) => {
          meter.rescued(rescued)
          if (rescued.length > 0) log.warn({ jobs: rescued.length }, 'jobs of a process that went away were taken back')
        },
        // The next second tries again, and claims tell of the outage.
        () => {},
      )
      .finally(() => (this.#rescuing = false))
      .catch((error: unknown) => log.error({ err: error }, 'the watch over jobs failed'))
  }

  #measure(): void {
    const { driver, clock, meter } = this.#parts
    const began = clock.monotonic()
    driver
      .stats()
      .then(
        (stats) => meter.depths(stats),
        () => {},
      )
      .finally(() => {
        if (this.#stopped) return
        const tookMs = clock.monotonic() - began
        this.#stats = clock.after(Math.max(statsMs, tookMs * statsShare), () => this.#measure())
      })
      .catch((error: unknown) => this.#parts.log.error({ err: error }, 'the watch over jobs failed'))
  }
}
