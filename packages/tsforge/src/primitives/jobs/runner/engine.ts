import type { Clock, Timer } from '../../../kernel/clock.ts'
import type { Log } from '../../../kernel/log.ts'
import type { ClaimedJob, JobId, JobsDriver } from '../driver.ts'
import type { Jobs } from '../jobs.ts'
import { bounded } from './bounded.ts'
import { Calls } from './calls.ts'
import type { Runner, RunnerStatus } from './create-runner.ts'
import { Deadlines } from './deadlines.ts'
import { failure, released, success } from './ending.ts'
import { Exchange } from './exchange.ts'
import { JobAborted } from './handler.ts'
import type { Kind } from './kind.ts'
import type { Lane } from './lane.ts'
import { Lanes } from './lanes.ts'
import { Leases } from './leases.ts'
import type { Held } from './leases.ts'
import { Local } from './local.ts'
import type { Meter } from './meter.ts'
import { ProgressWriter } from './progress.ts'
import { Reports } from './reports.ts'
import type { Report } from './reports.ts'
import { Run } from './run.ts'
import type { RunHost } from './run.ts'
import type { Resolved } from './settings.ts'
import { Watch } from './watch.ts'

export interface EngineParts {
  readonly jobs: Jobs
  readonly kinds: ReadonlyMap<string, Kind>
  readonly options: Resolved
  readonly clock: Clock
  readonly log: Log
  readonly meter: Meter
}

/** Reports that go at once, and how long fewer of them wait for company. */
const flushAt = 500
const flushMs = 5
/** Jobs that start before others than jobs have their turn on the event loop. */
const startsPerTurn = 256
/** Stock that no place came free for is for others. */
const staleMs = 2000
/** What an aborted handler gets to end by itself. */
const lastMs = 1000

/** Claims, runs and reports. All state changes in synchronous turns; `#pump` and `#feed` bring it forward after each. */
export class Engine implements Runner, RunHost {
  readonly worker: string
  readonly log: Log
  readonly clock: Clock
  readonly driver: JobsDriver
  readonly #jobs: Jobs
  readonly #options: Resolved
  readonly #clock: Clock
  readonly #meter: Meter
  readonly #kinds: ReadonlyMap<string, Kind>
  readonly #lanes: Lanes
  readonly #leases = new Leases()
  readonly #running = new Set<Run>()
  readonly #reports = new Reports()
  readonly #deadlines: Deadlines
  readonly #progress: ProgressWriter
  readonly #watch: Watch
  readonly #calls: Calls
  /** Ends that wait for their job's new lease. */
  readonly #parked = new Map<Run, () => Report>()
  /** In stock, and somebody wants them ended. */
  readonly #unwanted = new Set<JobId>()
  readonly #exchange: Exchange
  readonly #local: Local
  readonly #hurry = new AbortController()
  #state: RunnerStatus['state'] | 'manual' = 'new'
  #detach: (() => void) | undefined
  #flush: Timer | undefined
  #pumping = false
  #turn = 0
  #runs = 0
  #passRuns = 0
  #quiet: { resolve(): void; reject(error: unknown): void } | undefined
  #draining: Promise<void> | undefined
  #stopping: Promise<void> | undefined

  constructor({ jobs, kinds, options, clock, log, meter }: EngineParts) {
    this.worker = options.worker
    this.log = log
    this.clock = clock
    this.driver = jobs.driver
    this.#jobs = jobs
    this.#options = options
    this.#clock = clock
    this.#meter = meter
    this.#kinds = kinds
    this.#lanes = new Lanes(options, this.#leases)
    const { driver } = jobs
    this.#local = new Local({
      options,
      lanes: this.#lanes,
      clock,
      free: () => this.#free(),
      takes: (kind) => this.#state === 'running' && this.#kinds.has(kind),
      receive: (lane, jobs, since) => this.#receive(lane, jobs, since),
      changed: () => this.#pump(),
    })
    this.#exchange = new Exchange({
      driver,
      kinds: [...kinds.keys()],
      options,
      clock,
      log,
      meter,
      reports: this.#reports,
      listening: () => this.#calls.listening,
      polling: () => this.#state === 'running',
      receive: (lane, jobs, since) => this.#receive(lane, jobs, since),
      answered: () => this.#pump(),
      due: () => this.#feed(true),
      failed: (error) => this.#giveUp(error),
    })
    this.#deadlines = new Deadlines(clock, this.#running, (run) => this.#leaveBehind(run))
    this.#progress = new ProgressWriter(driver, clock)
    this.#watch = new Watch({
      driver,
      clock,
      log,
      meter,
      options,
      leases: this.#leases,
      running: this.#running,
      open: () => this.#reports.open,
      lost: (held, expired) => this.#lost(held, expired),
      cancel: (id) => this.#cancel(id),
      moved: (run) => this.#moved(run),
      tick: (now) => this.#giveBackStale(now),
    })
    this.#calls = new Calls(driver, clock, log, {
      onWork: (queue) => this.#called(this.#lanes.get(queue)),
      onCancel: (id) => this.#cancel(id),
      onGap: () => this.#lanes.all.forEach((lane) => this.#called(lane)),
    })
    meter.gauge('forge_jobs_running', 'Handlers at work in this process', () => this.#running.size)
    meter.gauge('forge_jobs_stock', 'Jobs that this process has claimed and not started', () => this.#lanes.stock)
  }

  get status(): RunnerStatus {
    return {
      state: this.#state === 'manual' ? 'new' : this.#state,
      running: this.#running.size,
      stock: this.#lanes.stock,
      unreported: this.#reports.open,
      failing: this.#exchange.failing,
    }
  }

  start(): void {
    if (this.#state !== 'new' && this.#state !== 'manual') return
    this.#state = 'running'
    this.#detach = this.#jobs.attach(this.#local)
    this.#watch.start()
    this.#calls.start()
    this.#feed(true)
  }

  drain(signal?: AbortSignal): Promise<void> {
    return (this.#draining ??= this.#drain(signal))
  }

  stop(): Promise<void> {
    return (this.#stopping ??= this.#stop())
  }

  async runUntilIdle(): Promise<number> {
    if (this.#state === 'new') this.#state = 'manual'
    const before = this.#runs
    this.#nextPass()
    await this.#untilQuiet(() => this.#feed(true))
    return this.#runs - before
  }

  // --- runs

  succeeded(run: Run, output: unknown): void {
    if (!run.over) this.#end(run, (now) => success(run, output, now))
  }

  failed(run: Run, error: unknown): void {
    if (run.over) return
    this.#end(run, (now) => failure(run, error, now))
  }

  progressed(run: Run): void {
    this.#progress.progressed(run)
  }

  #end(run: Run, report: (now: number) => Report): void {
    run.over = true
    const now = this.#clock.monotonic()
    this.#running.delete(run)
    const { lane } = run
    lane.running--
    lane.measured(now - run.startedAt)
    // What it held of a limit can go to the next.
    if (lane.limited && lane.dry) lane.wake()
    this.#runs++
    if (run.newProgress !== undefined) this.#progress.forget(run)
    if (run.moving) this.#parked.set(run, () => report(now))
    else {
      this.#leases.release(run.held)
      this.#reports.add(report(now))
    }
    if (!this.#pumping) this.#pump()
  }

  #moved(run: Run): void {
    const report = this.#parked.get(run)
    if (report === undefined) return
    this.#parked.delete(run)
    this.#leases.release(run.held)
    this.#reports.add(report())
    this.#feed(false)
  }

  #begin(lane: Lane, job: ClaimedJob, held: Held): void {
    const kind = this.#kinds.get(job.kind)
    const now = this.#clock.monotonic()
    // After a handler that blocked the event loop, no timer has had a chance to tell.
    if (now >= held.until) {
      for (const lost of this.#leases.expired(now)) this.#lost(lost, true)
      this.#reports.add(released(job.id, held.id))
      return
    }
    if (kind === undefined || this.#unwanted.delete(job.id)) {
      this.#leases.release(held)
      const { id } = job
      this.#reports.add(
        kind === undefined
          ? released(id, held.id)
          : { finished: { id, lease: held.id, as: 'cancelled' }, run: undefined, ending: undefined },
      )
      return
    }
    const run = new Run(
      this,
      job,
      kind,
      lane,
      held,
      now,
      job.timeoutMs ?? kind.job.timeoutMs ?? this.#options.timeoutMs,
    )
    this.#running.add(run)
    lane.running++
    this.#deadlines.watch(run)
    this.#meter.started(run)
    run.begin()
  }

  /** Its handler does not end although its signal was aborted. Its place is needed. */
  #leaveBehind(run: Run): void {
    run.log.error(
      { afterMs: Math.round(this.#clock.monotonic() - run.startedAt) },
      'a handler ignores its signal and was left behind',
    )
    this.failed(run, new JobAborted('timeout'))
  }

  #cancel(id: JobId): void {
    for (const run of [...this.#running]) if (run.job.id === id) return run.abort('cancelled')
    if (this.#lanes.has(id)) this.#unwanted.add(id)
  }

  // --- the turn

  /** Starts what there is a place for, then sees to claims and reports. */
  #pump(): void {
    if (this.#pumping) return
    this.#pumping = true
    while (this.#free() > 0) {
      const lane = this.#lanes.next()
      if (lane === undefined) break
      if (this.#turn >= startsPerTurn) {
        // Handlers that never wait would keep sockets and timers from their turn.
        if (this.#turn++ === startsPerTurn) setImmediate(() => this.#newTurn())
        break
      }
      this.#turn++
      const taken = lane.take()
      if (taken !== undefined) this.#begin(lane, taken.job, taken.held)
    }
    this.#pumping = false
    this.#feed(false)
  }

  #newTurn(): void {
    this.#turn = 0
    this.#pump()
  }

  #free(): number {
    return this.#options.concurrency - this.#running.size - this.#local.reserved
  }

  /** Sends claims and reports. `due`: what has waited for company goes now. */
  #feed(due: boolean): void {
    const state = this.#state
    if (state === 'new' || state === 'stopped') return
    const now = due || state === 'manual'
    if (state !== 'draining') {
      const alone = this.#reports.waiting === 0 || this.#running.size === 0
      for (const lane of this.#lanes.all) {
        if (!this.#exchange.ready) break
        const want = lane.want(this.#free(), now)
        // A few places that come free one by one are filled together with the reports of those that left.
        if (want > 0 && (now || alone || want * 2 >= lane.concurrency)) this.#exchange.send(lane, want)
      }
    }
    const { waiting } = this.#reports
    if (waiting > 0) {
      const idle = this.#running.size === 0 && this.#lanes.stock === 0
      if (now || idle || waiting >= flushAt || this.#reports.suspicious) {
        if (this.#exchange.ready) this.#exchange.send(this.#lanes.all[0]!, 0)
      } else this.#flush ??= this.#clock.after(flushMs, () => this.#flushDue())
    }
    if (this.#quiet !== undefined) this.#checkQuiet()
  }

  #flushDue(): void {
    this.#flush = undefined
    this.#feed(true)
  }

  // --- lanes

  #receive(lane: Lane, jobs: readonly ClaimedJob[], since: number): void {
    if (this.#state === 'running' || this.#state === 'manual') {
      lane.add(jobs, this.#leases.grant(jobs, since + this.#options.leaseMs), this.#clock.monotonic())
    } else for (const { id, lease } of jobs) this.#reports.add(released(id, lease))
  }

  #called(lane: Lane | undefined): void {
    if (lane === undefined) return
    lane.calls++
    if (!lane.dry) return
    lane.wake()
    this.#feed(true)
  }

  // --- leases

  #lost(held: Held, expired: boolean): void {
    let jobs = 0
    for (const { id } of this.#lanes.drop(held)) {
      jobs++
      // Honoured where the store is not as sure as we are that it is lost.
      if (expired) this.#reports.add(released(id, held.id))
    }
    for (const run of [...this.#running]) {
      if (run.held !== held) continue
      jobs++
      run.abort('lease_lost')
    }
    if (jobs > 0) this.log.warn({ jobs, expired }, 'a lease was lost: its jobs may run elsewhere')
  }

  #giveBackStale(now: number): void {
    if (this.#state !== 'running' || this.#free() > 0) return
    let oldest = now
    for (const { startedAt } of this.#running) oldest = Math.min(oldest, startedAt)
    for (const lane of this.#lanes.all) {
      if (lane.stock === 0) continue
      const stale = lane.giveBack(now - staleMs)
      for (const { id, lease } of stale) this.#reports.add(released(id, lease))
      // Those that run now are slow, which their ends would tell too late.
      if (stale.length > 0) lane.measured(now - oldest, 1)
    }
    this.#feed(false)
  }

  // --- the end

  async #drain(signal?: AbortSignal): Promise<void> {
    if (this.#state === 'new') this.#state = 'stopped'
    if (this.#state === 'stopped') return
    this.#state = 'draining'
    this.#detach?.()
    for (const lane of this.#lanes.all) {
      lane.timer?.cancel()
      for (const { id, lease } of lane.giveBack()) this.#reports.add(released(id, lease))
    }
    const hurry = this.#hurry.signal
    await this.#within(this.#options.graceMs, signal === undefined ? hurry : AbortSignal.any([signal, hurry]))
  }

  async #stop(): Promise<void> {
    this.#hurry.abort()
    await this.drain()
    if (this.#state === 'stopped') return
    if (this.#running.size > 0) {
      this.log.warn({ jobs: this.#running.size }, 'jobs did not end in time and are handed back')
      for (const run of [...this.#running]) run.abort('shutdown')
    }
    if (this.#running.size + this.#reports.open > 0) await this.#within(lastMs)
    for (const run of [...this.#running]) this.failed(run, new JobAborted('shutdown'))
    if (this.#reports.open > 0) await this.#within(lastMs)
    this.#state = 'stopped'
    this.#watch.stop()
    this.#deadlines.stop()
    this.#exchange.stop()
    this.#flush?.cancel()
    const left = Promise.all([this.#calls.stop(), this.#jobs.driver.leave(this.worker)]).catch((error: unknown) => {
      this.log.warn({ err: error }, 'the leases of a stopped runner could not be handed back; they run out')
    })
    await bounded(this.#clock, left, 2 * lastMs)
  }

  /** Waits until nothing runs and all is told, for at most `ms`. */
  async #within(ms: number, signal?: AbortSignal): Promise<void> {
    const quiet = this.#untilQuiet(() => this.#feed(true))
    await bounded(this.#clock, quiet, ms, signal)
    this.#quiet = undefined
  }

  #untilQuiet(go: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#quiet = { resolve, reject }
      go()
    })
  }

  /** Whoever waits for idleness hears of a failure; a runner that was started goes on. */
  #giveUp(error: unknown): boolean {
    const waiting = this.#quiet
    if (this.#state !== 'manual' || waiting === undefined) return false
    this.#quiet = undefined
    waiting.reject(error)
    return true
  }

  #nextPass(): void {
    this.#passRuns = this.#runs
    for (const lane of this.#lanes.all) lane.wake()
  }

  #checkQuiet(): void {
    if (this.#running.size + this.#local.reserved + this.#exchange.open + this.#reports.open + this.#parked.size > 0)
      return
    if (this.#lanes.stock > 0) return
    if (this.#state !== 'draining') {
      if (this.#lanes.all.some((lane) => !lane.dry)) return
      if (this.#runs > this.#passRuns) {
        // They may have added more, also to queues that were empty before.
        this.#nextPass()
        return this.#feed(true)
      }
    }
    const quiet = this.#quiet
    this.#quiet = undefined
    quiet?.resolve()
  }
}
