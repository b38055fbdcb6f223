import type { Clock } from '../../../../kernel/clock.ts'
import type { Queryable } from '../../../db/index.ts'
import type { Finished, JobError, JobId, JobsDriver, LeaseId } from '../../driver.ts'
import { jobsErrors } from '../../errors.ts'
import { childJob } from '../../steps/store.ts'
import type {
  EventWait,
  Member,
  MemberRow,
  StepDriver,
  StepKind,
  StepOwner,
  StepPlace,
  StepRow,
  StepStore,
} from '../../steps/store.ts'

interface Entry extends StepPlace {
  readonly kind: StepKind
  ended: boolean
  /** JSON text. */
  value: string | undefined
  readonly dueMs?: number | undefined
  readonly event?: string
  readonly match?: unknown
  signal?: number
  open?: number
  readonly failFast?: boolean
}

interface Child {
  readonly id: JobId
  readonly parent: JobId
  readonly step: string
  readonly place: number
  readonly name: string
  readonly needs: readonly number[]
  blocked: number
  ended: MemberRow['ended']
  output: unknown
  error: JobError | undefined
}

const keptMs = 86_400_000

/** Gives a driver in memory its steps: it is watched for what begins and ends. */
export function withSteps(driver: JobsDriver, clock: Pick<Clock, 'now'>): StepDriver {
  const steps = new MemorySteps(driver, clock)
  const add = driver.add.bind(driver)
  const step = driver.step.bind(driver)
  const isolate = driver.isolate.bind(driver)
  const leave = driver.leave.bind(driver)
  const rescue = driver.rescue.bind(driver)
  const cancel = driver.cancel.bind(driver)
  const maintain = driver.maintain.bind(driver)
  const watched: Partial<JobsDriver> = {
    add: async (jobs, options) => {
      const result = await add(jobs, options)
      if (result.lease !== undefined) for (const { id } of result.added) steps.leased(id!, result.lease)
      return result
    },
    step: async (request) => {
      const finished = request.finished.map((report) => steps.snoozed(report))
      const result = await step({ ...request, finished })
      const late = new Set(result.late)
      const told = finished.filter(({ id }) => !late.has(id)).map(({ id }) => id)
      for (const id of told) steps.leased(id, undefined)
      for (const { id, lease } of result.jobs) steps.leased(id, lease)
      await steps.ended(told)
      return result
    },
    isolate: async (worker, leaseMs, jobs) => {
      const leases = await isolate(worker, leaseMs, jobs)
      for (const [i, lease] of leases.entries()) if (lease !== undefined) steps.leased(jobs[i]!.id, lease)
      return leases
    },
    leave: async (worker) => {
      await leave(worker)
      await steps.reconcile()
    },
    rescue: async (backoff) => {
      const rescued = await rescue(backoff)
      await steps.reconcile()
      return rescued
    },
    cancel: async (ids, tx) => {
      const result = await cancel(ids, tx)
      await steps.ended(result.cancelled)
      return result
    },
    maintain: async (request) => {
      const result = await maintain(request)
      await steps.sweep()
      return result
    },
  }
  return Object.assign(driver, watched, { steps })
}

class MemorySteps implements StepStore {
  readonly #driver: JobsDriver
  readonly #clock: Pick<Clock, 'now'>
  readonly #steps = new Map<JobId, Map<string, Entry>>()
  readonly #children = new Map<JobId, Child>()
  readonly #leases = new Map<JobId, LeaseId>()
  readonly #woken = new Set<JobId>()
  #signals: { readonly id: number; readonly event: string; readonly text: string; readonly atMs: number }[] = []
  #nextSignal = 1

  constructor(driver: JobsDriver, clock: Pick<Clock, 'now'>) {
    this.#driver = driver
    this.#clock = clock
  }

  leased(id: JobId, lease: LeaseId | undefined): void {
    if (lease === undefined) this.#leases.delete(id)
    else this.#leases.set(id, lease)
  }

  /** What it waits for has happened while it ran. */
  snoozed(report: Finished): Finished {
    return report.as === 'snoozed' && this.#woken.delete(report.id) ? { ...report, delayMs: 0 } : report
  }

  /** Jobs whose leases have ended otherwise than by their reports. */
  async reconcile(): Promise<void> {
    const free: JobId[] = []
    for (const id of this.#leases.keys())
      if ((await this.#driver.get(id))?.state !== 'running' && this.#leases.delete(id)) free.push(id)
    await this.ended(free)
  }

  async sweep(): Promise<void> {
    const now = this.#clock.now()
    this.#signals = this.#signals.filter(({ atMs }) => atMs > now - keptMs)
    for (const job of this.#steps.keys()) if ((await this.#driver.get(job)) === undefined) this.#forget(job)
  }

  async load({ job, lease }: StepOwner): Promise<readonly StepRow[] | undefined> {
    if (this.#leases.get(job) !== lease) return undefined
    this.#woken.delete(job)
    const now = this.#clock.now()
    const entries = [...(this.#steps.get(job)?.values() ?? [])]
    for (const entry of entries) if (!entry.ended && entry.dueMs !== undefined && entry.dueMs <= now) entry.ended = true
    return entries.map((entry) => this.#row(entry)).toSorted((a, b) => a.place - b.place)
  }

  async result(owner: StepOwner, step: StepPlace, value: string): Promise<StepRow | undefined> {
    return this.#put(owner, { ...step, kind: 'run', ended: true, value })
  }

  async transaction(): Promise<StepRow | undefined> {
    throw jobsErrors.error('jobs.tx_unsupported')
  }

  async sleep(
    owner: StepOwner,
    step: StepPlace,
    until: { inMs: number } | { atMs: number },
  ): Promise<StepRow | undefined> {
    const dueMs = 'inMs' in until ? this.#clock.now() + until.inMs : until.atMs
    return this.#put(owner, { ...step, kind: 'sleep', ended: false, value: undefined, dueMs })
  }

  async wait(owner: StepOwner, wait: EventWait): Promise<StepRow | undefined> {
    const { name, place, event, timeoutMs, lookbackMs } = wait
    const job = await this.#driver.get(owner.job)
    const now = this.#clock.now()
    const since = lookbackMs === undefined ? (job?.createdAt.getTime() ?? now) : now - lookbackMs
    const entry: Entry = {
      name,
      place,
      kind: 'event',
      ended: false,
      value: undefined,
      dueMs: timeoutMs === undefined ? undefined : now + timeoutMs,
      event,
      match: wait.match === undefined ? undefined : (JSON.parse(wait.match) as unknown),
    }
    const row = this.#put(owner, entry)
    if (this.#steps.get(owner.job)?.get(name) !== entry) return row
    const taken = new Set([...this.#steps.get(owner.job)!.values()].map(({ signal }) => signal))
    for (const signal of this.#signals) {
      if (signal.event !== event || signal.atMs < since || taken.has(signal.id)) continue
      if (!contains(JSON.parse(signal.text), entry.match)) continue
      take(entry, signal)
      break
    }
    return this.#row(entry)
  }

  async signal(event: string, text: string, tx?: Queryable): Promise<number> {
    if (tx !== undefined) throw jobsErrors.error('jobs.tx_unsupported')
    const signal = { id: this.#nextSignal++, event, text, atMs: this.#clock.now() }
    this.#signals.push(signal)
    const payload: unknown = JSON.parse(text)
    const rouse: JobId[] = []
    for (const [job, steps] of this.#steps) {
      for (const entry of steps.values()) {
        if (entry.ended || entry.event !== event) continue
        if (entry.dueMs !== undefined && entry.dueMs <= signal.atMs) continue
        if (!contains(payload, entry.match)) continue
        take(entry, signal)
        rouse.push(job)
      }
    }
    await this.#rouse(rouse)
    return rouse.length
  }

  async children(
    owner: StepOwner,
    step: StepPlace,
    members: readonly Member[],
    failFast: boolean,
  ): Promise<StepRow | undefined> {
    const open = members.length
    const entry: Entry = { ...step, kind: 'children', ended: open === 0, value: undefined, open, failFast }
    const row = this.#put(owner, entry)
    if (this.#steps.get(owner.job)?.get(step.name) !== entry) return row
    const { added } = await this.#driver.add(members.map((member) => childJob(member, owner.job)))
    for (const [place, { id }] of added.entries()) {
      const { name, needs } = members[place]!
      this.#children.set(id!, {
        id: id!,
        parent: owner.job,
        step: step.name,
        place,
        name,
        needs,
        blocked: needs.length,
        ended: undefined,
        output: undefined,
        error: undefined,
      })
    }
    return row
  }

  async members(parent: JobId, step: string): Promise<readonly MemberRow[]> {
    return this.#group(parent, step)
  }

  async needsOf(child: JobId): Promise<readonly MemberRow[] | undefined> {
    const member = this.#children.get(child)
    return member && this.#group(member.parent, member.step).filter(({ place }) => member.needs.includes(place))
  }

  /** Tells whoever waits for these jobs; those that have not ended are passed over. */
  async ended(ids: readonly JobId[]): Promise<void> {
    const rouse: JobId[] = []
    const stop: JobId[] = []
    for (const id of ids) {
      const child = this.#children.get(id)
      const waited = child !== undefined && child.ended === undefined
      if (!waited && !this.#steps.has(id)) continue
      const record = await this.#driver.get(id)
      const state = record?.state ?? 'done'
      if (state !== 'done' && state !== 'dead' && state !== 'cancelled') continue
      this.#woken.delete(id)
      if (waited && child.ended === undefined) {
        child.ended = state
        child.output = record?.output
        child.error = state === 'done' ? undefined : record?.error
        this.#advance(child, rouse, stop)
      }
      if (state === 'cancelled')
        for (const one of this.#children.values()) if (one.parent === id && one.ended === undefined) stop.push(one.id)
      if (state !== 'dead') this.#forget(id)
    }
    await this.#rouse(rouse)
    if (stop.length > 0) await this.#driver.cancel(stop)
  }

  #advance(child: Child, rouse: JobId[], stop: JobId[]): void {
    const entry = this.#steps.get(child.parent)?.get(child.step)
    if (entry === undefined) return
    entry.open = entry.open! - 1
    entry.ended = entry.open <= 0
    if (entry.ended) return void rouse.push(child.parent)
    for (const one of this.#group(child.parent, child.step)) {
      if (one.ended !== undefined) continue
      const needs = one.needs.includes(child.place)
      if (child.ended !== 'done') {
        if (needs || entry.failFast === true) stop.push(one.id)
      } else if (needs && --one.blocked === 0) rouse.push(one.id)
    }
  }

  async #rouse(ids: readonly JobId[]): Promise<void> {
    for (const id of ids) if (this.#leases.has(id)) this.#woken.add(id)
    if (ids.length > 0) await this.#driver.retry(ids.filter((id) => !this.#leases.has(id)))
  }

  #group(parent: JobId, step: string): Child[] {
    return [...this.#children.values()]
      .filter((child) => child.parent === parent && child.step === step)
      .toSorted((a, b) => a.place - b.place)
  }

  #put({ job, lease }: StepOwner, entry: Entry): StepRow | undefined {
    if (this.#leases.get(job) !== lease) return undefined
    let steps = this.#steps.get(job)
    if (steps === undefined) this.#steps.set(job, (steps = new Map<string, Entry>()))
    const known = steps.get(entry.name)
    if (known === undefined) steps.set(entry.name, entry)
    return this.#row(known ?? entry)
  }

  #row({ name, place, kind, ended, dueMs, value }: Entry): StepRow {
    const leftMs = ended || dueMs === undefined ? undefined : Math.max(0, Math.ceil(dueMs - this.#clock.now()))
    return { name, place, kind, ended, leftMs, value: value === undefined ? null : (JSON.parse(value) as unknown) }
  }

  #forget(job: JobId): void {
    this.#steps.delete(job)
    for (const child of this.#children.values()) if (child.parent === job) this.#children.delete(child.id)
  }
}

function take(entry: Entry, { id, atMs, text }: { id: number; atMs: number; text: string }): void {
  entry.ended = true
  entry.signal = id
  entry.value = `{"id":${id},"at":${atMs},"payload":${text}}`
}

/** As `jsonb @>`: objects contain their parts, arrays what is in them. */
function contains(value: unknown, part: unknown): boolean {
  if (part === undefined) return true
  if (typeof part !== 'object' || part === null) return value === part
  if (typeof value !== 'object' || value === null || Array.isArray(part) !== Array.isArray(value)) return false
  if (Array.isArray(part)) return part.every((one) => (value as unknown[]).some((other) => contains(other, one)))
  return Object.entries(part).every(
    ([key, one]) => Object.hasOwn(value, key) && contains((value as Record<string, unknown>)[key], one),
  )
}
