import { systemClock } from '../../../kernel/clock.ts'
import type { Clock } from '../../../kernel/clock.ts'
import type {
  Added,
  AddOptions,
  AddResult,
  CancelResult,
  DeadReason,
  Finished,
  Heartbeat,
  JobError,
  JobFilter,
  JobId,
  JobRecord,
  JobsCapabilities,
  JobsDriver,
  LeaseId,
  ListRequest,
  Maintained,
  MaintainRequest,
  NewJob,
  QueueSettings,
  QueueStats,
  RedriveRequest,
  Rescued,
  StepRequest,
  StepResult,
  WakeListener,
} from '../driver.ts'
import { jobsErrors } from '../errors.ts'
import { Bell } from './memory/bell.ts'
import { claimed, lost, newEntry, recordOf } from './memory/entry.ts'
import type { Entry } from './memory/entry.ts'
import { Ended } from './memory/ended.ts'
import { Keys } from './memory/keys.ts'
import { Leases } from './memory/leases.ts'
import { newest, statsOf } from './memory/look.ts'
import { Queue } from './memory/queue.ts'
import { withSteps } from './memory/steps.ts'
import type { StepDriver } from '../steps/store.ts'

export interface MemoryJobsOptions {
  readonly clock?: Pick<Clock, 'now'>
  /** Ended jobs that are remembered. Default 10,000. */
  readonly history?: number
}

/** Jobs in this process, gone with it: for tests, and for products that can lose them. */
export function memory(options: MemoryJobsOptions = {}): StepDriver {
  return withSteps(new MemoryJobs(options), options.clock ?? systemClock)
}

class MemoryJobs implements JobsDriver {
  readonly name = 'memory'
  readonly capabilities: JobsCapabilities = {
    durable: false,
    shared: false,
    listen: true,
    transactions: false,
    concurrent: true,
  }
  readonly #clock: Pick<Clock, 'now'>
  readonly #open = new Map<JobId, Entry>()
  readonly #ended: Ended
  readonly #leases = new Leases()
  readonly #queues = new Map<string, Queue>()
  readonly #keys = new Keys()
  readonly #bell = new Bell()
  #nextId = 1

  constructor({ clock = systemClock, history = 10_000 }: MemoryJobsOptions) {
    this.#clock = clock
    this.#ended = new Ended(history)
  }

  async start(): Promise<void> {}
  async close(): Promise<void> {
    this.#bell.silence()
  }

  async add(jobs: readonly NewJob[], { tx, handOff }: AddOptions = {}): Promise<AddResult> {
    if (tx !== undefined) throw jobsErrors.error('jobs.tx_unsupported')
    const now = this.#clock.now()
    const wake = new Set<string>()
    const entries: Entry[] = []
    const added = jobs.map((job): Added => {
      const one = this.#addOne(job, now)
      if ('entry' in one) {
        entries.push(one.entry)
        if (one.entry.dueMs < now + 1000) wake.add(job.queue)
        return { id: one.entry.id, outcome: one.outcome }
      }
      return one
    })
    const queue = jobs[0] && this.#queue(jobs[0].queue)
    if (handOff !== undefined && queue !== undefined && !queue.limited && queue.settings.paused !== true) {
      return { added, lease: this.#lease(handOff.worker, handOff.leaseMs, entries), atMs: now }
    }
    for (const entry of entries) this.#queue(entry.job.queue).push(entry)
    this.#wake(wake)
    return { added }
  }

  #addOne(job: NewJob, now: number): { readonly entry: Entry; readonly outcome: Added['outcome'] } | Added {
    const { dedupe, queue } = job
    let outcome: Added['outcome'] = 'added'
    let dueMs = job.runAtMs ?? now + job.delayMs
    if (dedupe?.mode === 'throttle') {
      const id = this.#keys.throttle(queue, dedupe.key, this.#nextId, now, dedupe.windowMs!)
      if (id !== undefined) return { id, outcome: 'throttled' }
    } else if (dedupe !== undefined) {
      if (dedupe.mode === 'debounce') dueMs = now + dedupe.windowMs!
      const known = this.#keys.owner(queue, dedupe.key)
      if (known !== undefined) {
        if (dedupe.mode === 'skip') return { id: known.id, outcome: 'existing' }
        outcome = 'replaced'
        // One that runs keeps its place and loses its key.
        if (known.lease === undefined) {
          known.end = 'gone'
          this.#open.delete(known.id)
        }
        known.dedupeKey = undefined
      }
    }
    const key = job.key ?? (this.#queue(queue).servesKeys ? job.tenantId : undefined)
    const entry = newEntry(this.#nextId++, job, key, now, dueMs)
    this.#keys.give(entry)
    this.#open.set(entry.id, entry)
    return { entry, outcome }
  }

  async step({ queue: name, worker, leaseMs, kinds, want, finished, idle }: StepRequest): Promise<StepResult> {
    const now = this.#clock.now()
    const late = finished.filter((report) => !this.#finish(worker, report, now)).map((report) => report.id)
    const queue = this.#queue(name)
    const paused = queue.settings.paused === true
    const nothing = { jobs: [], late, more: false, nextMs: undefined, limited: queue.limited, paused }
    if (want < 1 || paused) return nothing
    const { entries, nextMs, more } = queue.pick(new Set(kinds), want, now)
    if (entries.length === 0) {
      if (idle) queue.idleUntilMs = now + 60_000
      const due = queue.nextDueMs()
      const next = Math.min(nextMs ?? Infinity, due !== undefined && due > now ? due : Infinity)
      return { ...nothing, nextMs: next === Infinity ? undefined : Math.max(0, Math.ceil(next - now)) }
    }
    const lease = this.#lease(worker, leaseMs, entries)
    const jobs = entries.map((entry) => claimed(entry, lease))
    return { jobs, late, more: more || jobs.length === want, nextMs: undefined, limited: queue.limited, paused }
  }

  async heartbeat(worker: string, leaseMs: number): Promise<Heartbeat> {
    return this.#leases.prolong(worker, this.#clock.now() + leaseMs)
  }

  async isolate(
    worker: string,
    leaseMs: number,
    jobs: readonly { readonly id: JobId; readonly lease: LeaseId }[],
  ): Promise<readonly (LeaseId | undefined)[]> {
    return jobs.map(({ id, lease }) => {
      const entry = this.#held(worker, lease, id)
      if (entry === undefined) return undefined
      this.#release(entry)
      return this.#lease(worker, leaseMs, [entry])
    })
  }

  async leave(worker: string): Promise<void> {
    const entries = this.#leases.jobsOf((lease) => lease.worker === worker)
    for (const entry of entries) {
      this.#release(entry)
      this.#queue(entry.job.queue).push(entry)
    }
    this.#wake(new Set(entries.map((entry) => entry.job.queue)))
  }

  async rescue({ baseMs, capMs }: { readonly baseMs: number; readonly capMs: number }): Promise<readonly Rescued[]> {
    const now = this.#clock.now()
    const rescued: Rescued[] = []
    for (const entry of this.#leases.jobsOf((lease) => lease.untilMs < now)) {
      this.#release(entry)
      if (entry.cancelRequested) {
        this.#end(entry, 'cancelled', now)
        continue
      }
      const { queue, kind } = entry.job
      const delayMs = Math.random() * Math.min(capMs, baseMs * 2 ** Math.min(entry.attempt, 60))
      this.#again(entry, now, delayMs, lost, 'lost', 0)
      rescued.push({ id: entry.id, queue, kind, attempt: entry.attempt, dead: entry.end === 'dead' })
    }
    this.#wake(new Set(rescued.map((one) => one.queue)))
    return rescued
  }

  async progress(id: JobId, lease: LeaseId, value: string): Promise<boolean> {
    const entry = this.#open.get(id)
    if (entry === undefined || entry.lease !== lease) return false
    entry.progress = value
    return true
  }

  subscribe(listener: WakeListener): Promise<() => Promise<void>> {
    return this.#bell.subscribe(listener)
  }

  async get(id: JobId): Promise<JobRecord | undefined> {
    const entry = this.#open.get(id) ?? this.#ended.find(id)
    return entry && recordOf(entry, this.#clock.now(), this.#leases.workerOf(entry))
  }

  async list(request: ListRequest): Promise<readonly JobRecord[]> {
    return newest([...this.#open.values(), ...this.#ended.all()], request, this.#clock.now()).map((entry) =>
      recordOf(entry, this.#clock.now(), this.#leases.workerOf(entry)),
    )
  }

  async stats(queue?: string, tenantId?: string): Promise<readonly QueueStats[]> {
    const paused = new Map([...this.#queues].map(([name, { settings }]) => [name, settings.paused === true]))
    const all = [...this.#open.values(), ...this.#ended.all()]
    const counted = tenantId === undefined ? all : all.filter((entry) => entry.job.tenantId === tenantId)
    return statsOf(counted, paused, queue, this.#clock.now())
  }

  async cancel(ids: readonly JobId[]): Promise<CancelResult> {
    const cancelled: JobId[] = []
    const requested: JobId[] = []
    for (const id of new Set(ids)) {
      const entry = this.#open.get(id)
      if (entry === undefined) continue
      if (entry.lease === undefined) {
        this.#end(entry, 'cancelled', this.#clock.now())
        cancelled.push(id)
      } else {
        entry.cancelRequested = true
        requested.push(id)
        this.#bell.cancel(id)
      }
    }
    return { cancelled, requested }
  }

  async retry(ids: readonly JobId[]): Promise<readonly JobId[]> {
    const now = this.#clock.now()
    const found: JobId[] = []
    for (const id of new Set(ids)) {
      const entry = this.#open.get(id)
      if (entry !== undefined && entry.lease === undefined && entry.dueMs > now) {
        this.#requeue(entry, now)
        found.push(id)
      }
    }
    return [...found, ...this.#revive(ids, now, 0)]
  }

  async countDead(filter: JobFilter): Promise<number> {
    return this.#ended.deadMatching(filter).length
  }

  async redrive({ filter, limit, perSecond }: RedriveRequest): Promise<number> {
    const ids = this.#ended.deadMatching(filter).slice(0, limit)
    return this.#revive(ids, this.#clock.now(), perSecond === undefined ? 0 : 1000 / perSecond).length
  }

  async removeDead(filter: JobFilter): Promise<number> {
    const ids = this.#ended.deadMatching(filter)
    for (const id of ids) this.#ended.takeDead(id)
    return ids.length
  }

  async configure(name: string, settings: QueueSettings): Promise<void> {
    const queue = this.#queue(name)
    queue.settings = settings
    const waiting = [...this.#open.values()].filter((entry) => entry.job.queue === name && entry.lease === undefined)
    if (queue.servesKeys) for (const entry of waiting) entry.key ??= entry.job.tenantId
    queue.rearrange(waiting)
    this.#wake(new Set([name]))
  }

  async pause(name: string, paused: boolean): Promise<void> {
    const queue = this.#queue(name)
    queue.settings = { ...queue.settings, paused }
    this.#wake(new Set([name]))
  }

  async settings(name: string): Promise<QueueSettings> {
    const { paused, ...rest } = this.#queue(name).settings
    return paused === true ? { paused, ...rest } : rest
  }

  async maintain({ historyDays, deadDays }: MaintainRequest): Promise<Maintained> {
    const now = this.#clock.now()
    const deadRemoved = this.#ended.prune(now - historyDays * 86_400_000, now - deadDays * 86_400_000)
    this.#keys.sweep(now)
    return { partitionsCreated: [], partitionsDropped: [], deadRemoved }
  }

  /** False when its lease was lost. */
  #finish(worker: string, report: Finished, now: number): boolean {
    const entry = this.#held(worker, report.lease, report.id)
    if (entry === undefined) return false
    this.#release(entry)
    const ends = report.as === 'done' || report.as === 'discarded'
    if (report.as === 'cancelled' || (entry.cancelRequested && !ends)) {
      entry.attempt++
      this.#end(entry, 'cancelled', now)
    } else if (report.as === 'done') {
      entry.attempt++
      entry.runMs = report.runMs === undefined ? undefined : Math.round(report.runMs)
      entry.output = report.output
      this.#end(entry, report.keep ? 'done' : 'gone', now)
    } else if (report.as === 'discarded') {
      entry.attempt++
      entry.error = report.error
      this.#end(entry, 'dead', now, 'discarded')
    } else if (report.as === 'failed')
      this.#again(entry, now, report.delayMs, report.error, 'failed', entry.job.priority)
    else {
      if (report.as === 'snoozed') entry.dueMs = now + report.delayMs
      entry.lane = entry.job.priority
      this.#queue(entry.job.queue).push(entry)
    }
    return true
  }

  #again(entry: Entry, now: number, delayMs: number, error: JobError, reason: DeadReason, lane: number): void {
    entry.attempt++
    entry.error = error
    if (entry.attempt >= entry.job.maxAttempts) return this.#end(entry, 'dead', now, reason)
    entry.dueMs = now + delayMs
    entry.lane = lane
    this.#queue(entry.job.queue).push(entry)
  }

  #end(entry: Entry, end: Exclude<Entry['end'], 'open'>, now: number, reason?: DeadReason): void {
    entry.deadReason = reason
    entry.end = end
    entry.endedMs = now
    entry.progress = undefined
    this.#open.delete(entry.id)
    this.#keys.free(entry)
    this.#ended.put(entry)
  }

  #revive(ids: readonly JobId[], now: number, gapMs: number): JobId[] {
    const found: JobId[] = []
    for (const id of ids) {
      const entry = this.#ended.takeDead(id)
      if (entry === undefined) continue
      entry.end = 'open'
      entry.endedMs = undefined
      entry.deadReason = undefined
      entry.attempt = 0
      const { dedupeKey, job } = entry
      if (dedupeKey !== undefined && this.#keys.owner(job.queue, dedupeKey) !== undefined) entry.dedupeKey = undefined
      this.#keys.give(entry)
      entry.dueMs = now + found.length * gapMs
      entry.lane = entry.job.priority
      this.#open.set(id, entry)
      this.#queue(entry.job.queue).push(entry)
      found.push(id)
    }
    this.#wake(new Set(found.map((id) => this.#open.get(id)!.job.queue)))
    return found
  }

  /** A heap cannot move what lies in it, so the job comes back as another entry. */
  #requeue(entry: Entry, dueMs: number): void {
    const moved: Entry = { ...entry, dueMs, lane: entry.job.priority }
    entry.end = 'gone'
    this.#open.set(moved.id, moved)
    this.#keys.give(moved)
    this.#queue(moved.job.queue).push(moved)
    this.#wake(new Set([moved.job.queue]))
  }

  #lease(worker: string, leaseMs: number, entries: readonly Entry[]): LeaseId {
    for (const entry of entries) this.#queue(entry.job.queue).leased(entry, 1)
    return this.#leases.grant(worker, this.#clock.now() + leaseMs, entries)
  }

  #held(worker: string, lease: LeaseId, id: JobId): Entry | undefined {
    const entry = this.#open.get(id)
    return entry !== undefined && this.#leases.holds(worker, lease, entry) ? entry : undefined
  }

  #release(entry: Entry): void {
    this.#leases.release(entry)
    this.#queue(entry.job.queue).leased(entry, -1)
  }

  #queue(name: string): Queue {
    let queue = this.#queues.get(name)
    if (queue === undefined) this.#queues.set(name, (queue = new Queue()))
    return queue
  }

  #wake(queues: ReadonlySet<string>): void {
    for (const queue of queues) if (this.#queue(queue).idleUntilMs > this.#clock.now()) this.#bell.work(queue)
  }
}
