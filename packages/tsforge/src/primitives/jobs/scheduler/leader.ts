import type { Clock } from '../../../kernel/clock.ts'
import type { Log } from '../../../kernel/log.ts'
import type { Metrics } from '../../../kernel/metrics.ts'
import { jobsAdded } from '../events.ts'
import { scheduleFailed, scheduleFired, schedulerLed, scheduleSkipped } from './events.ts'
import { ScheduleMeter } from './meter.ts'
import { planTicks } from './plan.ts'
import type { Firing, ScheduleStore } from './store.ts'

export interface LeaderSettings {
  readonly store: ScheduleStore
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  readonly pollMs: number
}

/** How long those who do not lead leave a tick to the one who does. After a leader's death, ticks are late by this. */
export const followMs = 2000
/** Of one commit. */
const mostSchedules = 20
/** Something is due, but somebody holds it. */
const heldMs = 200
const outageMs = { base: 250, cap: 5000 }

/**
 * Ticks when the time has come. Every process can; a lock of each tick's transaction lets one at a time, and whoever
 * finds it taken, or its tick done, follows: it comes two seconds after each tick, to see whether there is anything left
 * to do. So one process leads, none holds a connection or a session to do so, and a leader's death needs no discovery.
 */
export class Leader {
  leading = true
  readonly #settings: LeaderSettings
  readonly #meter: ScheduleMeter
  #unsubscribe: (() => Promise<void>) | undefined
  #loop: Promise<void> | undefined
  #stopping = false
  #failures = 0
  /** When something will be due that this process has not added yet, by the time of the store. */
  #awaitedMs: number | undefined
  #wake: () => void = () => {}
  /** Somebody has told of a change since the last look. */
  #told = false

  constructor(settings: LeaderSettings) {
    this.#settings = settings
    this.#meter = new ScheduleMeter(settings.metrics, () => this.leading && this.#loop !== undefined)
  }

  async start(): Promise<void> {
    if (this.#loop !== undefined) return
    this.#stopping = false
    this.#loop = this.#run()
    try {
      this.#unsubscribe = await this.#settings.store.subscribe(() => {
        this.#told = true
        this.#wake()
      })
    } catch (error) {
      // It only makes changes known sooner.
      this.#settings.log.warn({ err: error }, 'the scheduler does not hear of changes; it looks for them')
    }
  }

  async stop(): Promise<void> {
    this.#stopping = true
    this.#wake()
    await this.#loop
    this.#loop = undefined
    await this.#unsubscribe?.()
    this.#unsubscribe = undefined
  }

  async #run(): Promise<void> {
    while (!this.#stopping) {
      this.#told = false
      const waitMs = await this.#turn()
      if (!this.#stopping && !this.#told && waitMs > 0) await this.#pause(waitMs)
    }
  }

  async #turn(): Promise<number> {
    try {
      const waitMs = await this.#look()
      this.#failures = 0
      return waitMs
    } catch (error) {
      if (this.#failures++ === 0)
        this.#settings.log.warn({ err: error }, 'the scheduler cannot reach its store; it tries on')
      return Math.random() * Math.min(outageMs.cap, outageMs.base * 2 ** Math.min(this.#failures, 10))
    }
  }

  /** Gives how long to wait. All of it are durations: what this machine thinks the time is does not matter. */
  async #look(): Promise<number> {
    const { store, pollMs } = this.#settings
    const { nowMs, wakeMs } = await store.look()
    const soonMs = wakeMs === undefined ? pollMs : wakeMs - nowMs
    // What was awaited is done: somebody else was there before.
    if (soonMs > 0 && this.#awaitedMs !== undefined && nowMs >= this.#awaitedMs) this.#lead(false)
    this.#awaitedMs = wakeMs
    const dueMs = soonMs + (this.leading ? 0 : followMs)
    if (dueMs > 0) return Math.min(pollMs, Math.ceil(dueMs))
    const { busy, fired, more, plans } = await this.fire()
    if (busy) return followMs
    if (fired === 0 && !more && plans === 0) return heldMs
    this.#awaitedMs = undefined
    return 0
  }

  /** Adds what is due. */
  async fire(): Promise<{
    readonly busy: boolean
    readonly fired: number
    readonly more: boolean
    readonly plans: number
  }> {
    const firing = await this.#settings.store.fire(planTicks, mostSchedules)
    this.#lead(!firing.busy)
    this.#tell(firing)
    return { busy: firing.busy, fired: firing.fired.length, more: firing.more, plans: firing.plans.length }
  }

  #lead(leading: boolean): void {
    if (this.leading === leading) return
    this.leading = leading
    schedulerLed.publish({ leading })
  }

  #tell({ fired, plans, failed, nowMs }: Firing): void {
    for (const { schedule, atMs, job } of fired) {
      const lagMs = Math.max(0, nowMs - atMs)
      this.#meter.fired(lagMs)
      scheduleFired.publish({ schedule: schedule.name, kind: schedule.job.kind, at: new Date(atMs), lagMs, job })
      if (job !== undefined) jobsAdded.publish({ kind: schedule.job.kind, queue: schedule.job.queue, count: 1 })
    }
    for (const { schedule, plan } of plans) {
      if (plan.skippedFromMs === undefined) continue
      this.#meter.skipped()
      const until = new Date(plan.fire[0] ?? nowMs)
      scheduleSkipped.publish({ schedule: schedule.name, from: new Date(plan.skippedFromMs), until })
    }
    for (const { schedule, error } of failed) {
      this.#meter.failed()
      this.#settings.log.error({ err: error, schedule }, 'the job of a schedule could not be added')
      scheduleFailed.publish({ schedule, error })
    }
  }

  #pause(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = this.#settings.clock.after(ms, resolve)
    this.#wake = () => {
      timer.cancel()
      resolve()
    }
    return promise
  }
}
