import type { Clock, Timer } from '../../../kernel/clock.ts'
import type { Log } from '../../../kernel/log.ts'
import type { ClaimedJob } from '../driver.ts'
import type { Jobs } from '../jobs.ts'
import { bounded } from './bounded.ts'
import { Calls } from './calls.ts'
import type { Runner, RunnerStatus } from './runner.ts'
import { released } from './ending.ts'
import { Exchange } from './exchange.ts'
import type { Kind } from './kind.ts'
import type { Lane } from './lane.ts'
import { Lanes } from './lanes.ts'
import { Leases } from './leases.ts'
import { Local } from './local.ts'
import type { Meter } from './meter.ts'
import { Reports } from './reports.ts'
import { Runs } from './runs.ts'
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
const flushAt = 1000
const flushMs = 5
/** Jobs that start before others than jobs have their turn on the event loop. */
const startsPerTurn = 256
/** Stock that no place came free for is for others. */
const staleMs = 2000
/** What an aborted handler gets to end by itself. */
const lastMs = 1000

/** Claims, runs and reports. All state changes in synchronous turns; `#pump` and `#feed` bring it forward after each. */
export class Engine implements Runner {
  readonly worker: string
  readonly log: Log
  readonly #jobs: Jobs
  readonly #options: Resolved
  readonly #clock: Clock
  readonly #kinds: ReadonlyMap<string, Kind>
  readonly #lanes: Lanes
  readonly #leases = new Leases()
  readonly #runs: Runs
  readonly #reports = new Reports()
  readonly #watch: Watch
  readonly #calls: Calls
  readonly #exchange: Exchange
  readonly #local: Local
  readonly #hurry = new AbortController()
  #state: RunnerStatus['state'] | 'manual' = 'new'
  #detach: (() => void) | undefined
  #flush: Timer | undefined
  #pumping = false
  #turn = 0
  #passRuns = 0
  #waiting: PromiseWithResolvers<void>[] = []
  #draining: Promise<void> | undefined
  #stopping: Promise<void> | undefined

  constructor({ jobs, kinds, options, clock, log, meter }: EngineParts) {
    this.worker = options.worker
    this.log = log
    this.#jobs = jobs
    this.#options = options
    this.#clock = clock
    this.#kinds = kinds
    this.#lanes = new Lanes(options, this.#leases)
    const { driver } = jobs
    this.#runs = new Runs({
      driver,
      kinds,
      options,
      clock,
      log,
      meter,
      lanes: this.#lanes,
      leases: this.#leases,
      reports: this.#reports,
      ended: () => this.#pump(),
      reported: () => this.#feed(false),
    })
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
    this.#watch = new Watch({
      driver,
      clock,
      log,
      meter,
      options,
      leases: this.#leases,
      running: this.#runs.running,
      open: () => this.#reports.open,
      lost: (held, expired) => this.#runs.lost(held, expired),
      cancel: (id) => this.#runs.cancel(id),
      moved: (run) => this.#runs.moved(run),
      tick: (now) => this.#giveBackStale(now),
    })
    this.#calls = new Calls(driver, clock, log, {
      onWork: (queue) => this.#called(this.#lanes.get(queue)),
      onCancel: (id) => this.#runs.cancel(id),
      onGap: () => this.#lanes.all.forEach((lane) => this.#called(lane)),
    })
    meter.gauge('forge_jobs_running', 'Handlers at work in this process', () => this.#runs.running.size)
    meter.gauge('forge_jobs_stock', 'Jobs that this process has claimed and not started', () => this.#lanes.stock)
  }

  get status(): RunnerStatus {
    return {
      state: this.#state === 'manual' ? 'new' : this.#state,
      running: this.#runs.running.size,
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
    const before = this.#runs.count
    this.#nextPass()
    await this.#untilQuiet(() => this.#feed(true))
    return this.#runs.count - before
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
      if (taken !== undefined) this.#runs.begin(lane, taken.job, taken.held)
    }
    this.#pumping = false
    this.#feed(false)
  }

  #newTurn(): void {
    this.#turn = 0
    this.#pump()
  }

  #free(): number {
    return this.#options.concurrency - this.#runs.running.size - this.#local.reserved
  }

  /** Sends claims and reports. `due`: what has waited for company goes now. */
  #feed(due: boolean): void {
    const state = this.#state
    if (state === 'new' || state === 'stopped') return
    const now = due || state === 'manual'
    if (state !== 'draining') {
      const alone = this.#reports.waiting === 0 || this.#runs.running.size === 0
      for (const lane of this.#lanes.all) {
        if (!this.#exchange.ready) break
        const want = lane.want(this.#free(), now)
        // A few places that come free one by one are filled together with the reports of those that left.
        if (want > 0 && (now || alone || want * 2 >= lane.concurrency)) this.#exchange.send(lane, want)
      }
    }
    const { waiting } = this.#reports
    if (waiting > 0) {
      const idle = this.#runs.running.size === 0 && this.#lanes.stock === 0
      if (now || idle || waiting >= flushAt || this.#reports.suspicious) {
        if (this.#exchange.ready) this.#exchange.send(this.#lanes.all[0]!, 0)
      } else this.#flush ??= this.#clock.after(flushMs, () => this.#flushDue())
    }
    if (this.#waiting.length > 0) this.#checkQuiet()
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

  #giveBackStale(now: number): void {
    if (this.#state !== 'running' || this.#free() > 0) return
    let oldest = now
    for (const { startedAt } of this.#runs.running) oldest = Math.min(oldest, startedAt)
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
    if (this.#runs.running.size > 0) {
      this.log.warn({ jobs: this.#runs.running.size }, 'jobs did not end in time and are handed back')
      this.#runs.abortAll()
    }
    if (this.#runs.running.size + this.#reports.open > 0) await this.#within(lastMs)
    this.#runs.abandonAll()
    if (this.#reports.open > 0) await this.#within(lastMs)
    this.#state = 'stopped'
    this.#watch.stop()
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
  }

  #untilQuiet(go: () => void): Promise<void> {
    const quiet = Promise.withResolvers<void>()
    this.#waiting.push(quiet)
    go()
    return quiet.promise
  }

  /** Whoever waits for idleness hears of a failure; a runner that was started goes on. */
  #giveUp(error: unknown): boolean {
    if (this.#state !== 'manual' || this.#waiting.length === 0) return false
    for (const { reject } of this.#waiting.splice(0)) reject(error)
    return true
  }

  #nextPass(): void {
    this.#passRuns = this.#runs.count
    for (const lane of this.#lanes.all) lane.wake()
  }

  #checkQuiet(): void {
    if (this.#runs.open + this.#local.reserved + this.#exchange.open + this.#reports.open > 0) return
    if (this.#lanes.stock > 0) return
    if (this.#state !== 'draining') {
      if (this.#lanes.all.some((lane) => !lane.dry)) return
      if (this.#runs.count > this.#passRuns) {
        // They may have added more, also to queues that were empty before.
        this.#nextPass()
        return this.#feed(true)
      }
    }
    for (const { resolve } of this.#waiting.splice(0)) resolve()
  }
}
