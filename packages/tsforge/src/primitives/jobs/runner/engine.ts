import type { Clock, Timer } from '../../../kernel/clock.ts'
import type { Log } from '../../../kernel/log.ts'
import { backoffMs } from '../../../kernel/resilience/retry.ts'
import type { ClaimedJob, JobId, JobsDriver, StepResult } from '../driver.ts'
import type { Jobs, LocalRunner } from '../jobs.ts'
import { Calls } from './calls.ts'
import type { Runner, RunnerStatus } from './create-runner.ts'
import { Deadlines } from './deadlines.ts'
import { failure, released, success } from './ending.ts'
import { JobAborted } from './handler.ts'
import type { Kind } from './kind.ts'
import { Lane } from './lane.ts'
import { Leases } from './leases.ts'
import type { Held } from './leases.ts'
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
/** For so long the store is sure to remember that a worker waits for calls. */
const markMs = 20_000
/** What an aborted handler gets to end by itself. */
const lastMs = 1000

/** Claims, runs and reports. All state changes in synchronous turns; `#pump` and `#feed` bring it forward after each. */
export class Engine implements Runner, LocalRunner, RunHost {
  readonly worker: string
  readonly leaseMs: number
  readonly log: Log
  readonly clock: Clock
  readonly driver: JobsDriver
  readonly #jobs: Jobs
  readonly #options: Resolved
  readonly #clock: Clock
  readonly #meter: Meter
  readonly #kinds: ReadonlyMap<string, Kind>
  readonly #kindNames: readonly string[]
  readonly #lanes: readonly Lane[]
  readonly #byQueue: ReadonlyMap<string, Lane>
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
  readonly #mostStatements: number
  #state: RunnerStatus['state'] | 'manual' = 'new'
  #detach: (() => void) | undefined
  #reserved = 0
  #statements = 0
  #failures = 0
  #retry: Timer | undefined
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
    this.leaseMs = options.leaseMs
    this.log = log
    this.clock = clock
    this.driver = jobs.driver
    this.#jobs = jobs
    this.#options = options
    this.#clock = clock
    this.#meter = meter
    this.#kinds = kinds
    this.#kindNames = [...kinds.keys()]
    this.#lanes = options.queues.map((queue) => new Lane(queue, options.prefetch, this.#leases))
    this.#byQueue = new Map(this.#lanes.map((lane) => [lane.queue, lane]))
    const { driver } = jobs
    this.#mostStatements = driver.capabilities.concurrent ? 4 : 1
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
      onWork: (queue) => this.#called(this.#byQueue.get(queue)),
      onCancel: (id) => this.#cancel(id),
      onGap: () => this.#lanes.forEach((lane) => this.#called(lane)),
    })
    meter.gauge('forge_jobs_running', 'Handlers at work in this process', () => this.#running.size)
    meter.gauge('forge_jobs_stock', 'Jobs that this process has claimed and not started', () => this.#stock())
  }

  get status(): RunnerStatus {
    return {
      state: this.#state === 'manual' ? 'new' : this.#state,
      running: this.#running.size,
      stock: this.#stock(),
      unreported: this.#reports.open,
      failing: this.#failures > 0,
    }
  }

  start(): void {
    if (this.#state !== 'new' && this.#state !== 'manual') return
    this.#state = 'running'
    this.#detach = this.#jobs.attach(this)
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

  // --- jobs that this process adds

  reserve(queue: string, kind: string): boolean {
    const lane = this.#byQueue.get(queue)
    // Where others wait already, it is not its turn.
    if (lane === undefined || !lane.dry || lane.limited || lane.paused || lane.stock > 0 || lane.room < 1) return false
    if (this.#state !== 'running' || !this.#kinds.has(kind) || this.#free() < 1) return false
    lane.reserved.push(this.#clock.monotonic())
    this.#reserved++
    return true
  }

  unreserve(queue: string, count: number): void {
    const { reserved } = this.#byQueue.get(queue)!
    reserved.length -= count
    this.#reserved -= count
    this.#pump()
  }

  accept(jobs: readonly ClaimedJob[]): void {
    const lane = this.#byQueue.get(jobs[0]!.queue)!
    // Of several additions the oldest is taken: a lease may be thought shorter than it is, never longer.
    const [since] = lane.reserved.splice(0, jobs.length)
    this.#reserved -= jobs.length
    this.#receive(lane, jobs, since!)
    this.#pump()
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
    if (lane.limited && lane.dry) this.#wake(lane)
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
    if (this.#lanes.some((lane) => lane.has(id))) this.#unwanted.add(id)
  }

  // --- the turn

  /** Starts what there is a place for, then sees to claims and reports. */
  #pump(): void {
    if (this.#pumping) return
    this.#pumping = true
    while (this.#free() > 0) {
      const lane = this.#nextLane()
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
    return this.#options.concurrency - this.#running.size - this.#reserved
  }

  #stock(): number {
    let stock = 0
    for (const lane of this.#lanes) stock += lane.stock
    return stock
  }

  /** Whose turn it is: what holds places of a limit first, then by weight. */
  #nextLane(): Lane | undefined {
    if (this.#lanes.length === 1) {
      const lane = this.#lanes[0]!
      return lane.stock > 0 && lane.room > 0 ? lane : undefined
    }
    let best: Lane | undefined
    let weights = 0
    for (const lane of this.#lanes) {
      if (lane.stock === 0 || lane.room < 1) continue
      if (lane.limited) return lane
      weights += lane.weight
      lane.credit += lane.weight
      if (best === undefined || lane.credit > best.credit) best = lane
    }
    if (best !== undefined) best.credit -= weights
    return best
  }

  /** Sends claims and reports. `due`: what has waited for company goes now. */
  #feed(due: boolean): void {
    const state = this.#state
    if (this.#retry !== undefined || state === 'new' || state === 'stopped') return
    const now = due || state === 'manual'
    if (state !== 'draining') {
      const alone = this.#reports.waiting === 0 || this.#running.size === 0
      for (const lane of this.#lanes) {
        if (this.#statements >= this.#mostStatements) break
        const want = lane.want(this.#free(), now)
        // A few places that come free one by one are filled together with the reports of those that left.
        if (want > 0 && (now || alone || want * 2 >= lane.concurrency)) this.#step(lane, want)
      }
    }
    const { waiting } = this.#reports
    if (waiting > 0) {
      const idle = this.#running.size === 0 && this.#stock() === 0
      if (now || idle || waiting >= flushAt || this.#reports.suspicious) {
        if (this.#statements < this.#mostStatements) this.#step(this.#lanes[0]!, 0)
      } else this.#flush ??= this.#clock.after(flushMs, () => this.#flushDue())
    }
    if (this.#quiet !== undefined) this.#checkQuiet()
  }

  #flushDue(): void {
    this.#flush = undefined
    this.#feed(true)
  }

  // --- statements

  #step(lane: Lane, asked: number): void {
    const want = this.#reports.suspicious ? 0 : asked
    const batch = this.#reports.take()
    const { calls } = lane
    const idle = want > 0 && this.#calls.listening
    this.#statements++
    if (want > 0) lane.claiming++
    lane.incoming += want
    const sent = this.#clock.monotonic()
    const over = (): void => {
      this.#statements--
      if (want > 0) lane.claiming--
      lane.incoming -= want
    }
    this.#jobs.driver
      .step({
        queue: lane.queue,
        worker: this.worker,
        leaseMs: this.leaseMs,
        kinds: this.#kindNames,
        want,
        finished: batch.map(finishedOf),
        idle,
      })
      .then(
        (result) => {
          over()
          this.#stepped(batch, result)
          if (want > 0) this.#claimed(lane, want, result, sent, calls, idle)
          this.#pump()
        },
        (error: unknown) => {
          over()
          this.#stepFailed(batch, error)
        },
      )
      .catch((error: unknown) => this.log.error({ err: error }, 'the job runner has a fault'))
  }

  #stepped(batch: readonly Report[], { late }: StepResult): void {
    if (this.#failures > 0) this.log.info({}, 'the store of jobs answers again')
    this.#failures = 0
    this.#reports.stored(batch, late, this.#told)
  }

  readonly #told = ({ run, ending }: Report, late: boolean): void => {
    if (run === undefined || ending === undefined) return
    if (late) {
      this.#meter.finished(run, { ...ending, outcome: 'late' })
      run.log.warn({ outcome: ending.outcome }, 'the end of a run came too late: its lease had been lost')
      return
    }
    this.#meter.finished(run, ending)
    if (ending.outcome === 'retried') run.log.warn({ error: ending.error }, 'a job failed and will be tried again')
    else if (ending.outcome === 'dead') run.log.error({ error: ending.error }, 'a job is dead')
  }

  #claimed(lane: Lane, want: number, result: StepResult, sent: number, calls: number, idle: boolean): void {
    const { jobs, more, nextMs = Number.POSITIVE_INFINITY, limited, paused } = result
    const found = jobs.length
    lane.limited = limited
    lane.paused = paused
    if (found > 0) this.#receive(lane, jobs, sent)
    lane.empty = found > 0 ? 0 : lane.empty + 1
    // Only an empty claim leaves word that this worker waits, and a large one of anybody takes it away.
    if (found === 0 && idle && !more) lane.markedAt = sent
    else if (found === want) lane.markedAt = Number.NEGATIVE_INFINITY
    const heard = !this.#calls.listening || sent - lane.markedAt < markMs
    // A call that came meanwhile may be about what this claim could not see yet.
    const exhausted = found < want && !more && lane.calls === calls && (found === 0 || heard || limited)
    const { pollMs } = this.#options
    if (paused || exhausted) this.#rest(lane, Math.min(pollMs * (0.8 + 0.2 * Math.random()), nextMs))
    else if (lane.empty > 5) this.#rest(lane, 50)
  }

  #stepFailed(batch: readonly Report[], error: unknown): void {
    const refused = this.#reports.again(batch, error)
    if (refused !== undefined)
      this.log.error({ err: error, job: refused.finished.id }, 'the end of a job cannot be stored and is given up')
    if (this.#state === 'manual' && this.#quiet !== undefined) {
      const { reject } = this.#quiet
      this.#quiet = undefined
      return reject(error)
    }
    if (this.#failures++ === 0) this.log.warn({ err: error }, 'the store of jobs cannot be reached; trying again')
    const waitMs = this.#reports.suspicious ? 1 : 20 + backoffMs(this.#failures, { capMs: 2000 })
    this.#retry ??= this.#clock.after(waitMs, () => {
      this.#retry = undefined
      this.#feed(true)
    })
  }

  #receive(lane: Lane, jobs: readonly ClaimedJob[], since: number): void {
    if (this.#state === 'running' || this.#state === 'manual') {
      lane.add(jobs, this.#leases.grant(jobs, since + this.leaseMs), this.#clock.monotonic())
    } else for (const { id, lease } of jobs) this.#reports.add(released(id, lease))
  }

  #rest(lane: Lane, ms: number): void {
    lane.dry = true
    lane.timer?.cancel()
    if (this.#state !== 'running') return
    lane.timer = this.#clock.after(Math.max(1, ms), () => {
      this.#wake(lane)
      this.#feed(true)
    })
  }

  #wake(lane: Lane): void {
    lane.dry = false
    lane.timer?.cancel()
    lane.timer = undefined
  }

  #called(lane: Lane | undefined): void {
    if (lane === undefined) return
    lane.calls++
    if (!lane.dry) return
    this.#wake(lane)
    this.#feed(true)
  }

  // --- leases

  #lost(held: Held, expired: boolean): void {
    let jobs = 0
    for (const lane of this.#lanes) {
      for (const { id } of lane.drop(held)) {
        jobs++
        // Honoured where the store is not as sure as we are that it is lost.
        if (expired) this.#reports.add(released(id, held.id))
      }
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
    for (const lane of this.#lanes) {
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
    if (this.#state === 'new' || this.#state === 'manual') this.#state = 'stopped'
    if (this.#state === 'stopped') return
    this.#state = 'draining'
    this.#detach?.()
    for (const lane of this.#lanes) {
      lane.timer?.cancel()
      for (const { id, lease } of lane.giveBack()) this.#reports.add(released(id, lease))
    }
    await this.#within(this.#options.graceMs, signal)
  }

  async #stop(): Promise<void> {
    const hurry = AbortSignal.abort()
    await this.drain(hurry)
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
    this.#retry?.cancel()
    this.#flush?.cancel()
    const left = Promise.all([this.#calls.stop(), this.#jobs.driver.leave(this.worker)]).catch((error: unknown) => {
      this.log.warn({ err: error }, 'the leases of a stopped runner could not be handed back; they run out')
    })
    await this.#orLater(left, 2 * lastMs)
  }

  /** Waits until nothing runs and all is told, for at most `ms`. */
  async #within(ms: number, signal?: AbortSignal): Promise<void> {
    await this.#orLater(
      this.#untilQuiet(() => this.#feed(true)),
      ms,
      signal,
    )
    this.#quiet = undefined
  }

  async #orLater(work: Promise<unknown>, ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted === true) return
    const done = new AbortController()
    const either = signal === undefined ? done.signal : AbortSignal.any([signal, done.signal])
    await Promise.race([work, this.#clock.sleep(ms, either).catch(() => {})])
    done.abort()
  }

  #untilQuiet(go: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#quiet = { resolve, reject }
      go()
    })
  }

  #nextPass(): void {
    this.#passRuns = this.#runs
    for (const lane of this.#lanes) this.#wake(lane)
  }

  #checkQuiet(): void {
    if (this.#running.size + this.#reserved + this.#statements + this.#reports.open + this.#parked.size > 0) return
    if (this.#stock() > 0) return
    if (this.#state !== 'draining') {
      if (this.#lanes.some((lane) => !lane.dry)) return
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

function finishedOf({ finished }: Report): Report['finished'] {
  return finished
}
