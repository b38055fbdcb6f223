import type { Queryable } from '../../db/index.ts'
import type { Slice } from '../../../kernel/page.ts'
import { isName } from '../define-job.ts'
import type { Added, JobsDriver } from '../driver.ts'
import { jobsErrors } from '../errors.ts'
import { previewRuns } from './preview.ts'
import type { PlannedRun, PreviewOptions } from './preview.ts'
import { policyOf, timingOf } from './schedule.ts'
import type { Schedule } from './schedule.ts'
import type { ScheduleChanges, SchedulePage, ScheduleRecord, Schedules } from './schedules.ts'
import type { ScheduleChange, ScheduleDefinition, ScheduleStore, StoredSchedule } from './store.ts'
import { neverMs, ticksOf } from './timing.ts'

export interface StoredSchedulesSettings {
  readonly store: ScheduleStore
  readonly driver: JobsDriver
  readonly payloadLimit: number
}

/** The rules about schedules, over any store. */
export class StoredSchedules implements Schedules {
  readonly #store: ScheduleStore
  readonly #driver: JobsDriver
  readonly #limit: number

  constructor({ store, driver, payloadLimit }: StoredSchedulesSettings) {
    this.#store = store
    this.#driver = driver
    this.#limit = payloadLimit
  }

  async create(schedule: Schedule, tx?: Queryable): Promise<ScheduleRecord> {
    const { name } = schedule
    const wanted = await this.#definition(schedule)
    const ticks = ticksOf(wanted.timing)
    const added = await this.#store.insert(wanted, undefined, (now) => ticks.after(now), tx)
    if (!added) throw jobsErrors.error('jobs.schedule_exists', { meta: { name } })
    return recordOf(known(name, await this.#store.get(name, tx)))
  }

  async update(name: string, changes: ScheduleChanges, tx?: Queryable): Promise<ScheduleRecord> {
    checkName(name)
    const timing = changes.timing && timingOf(changes.timing)
    const job = await changes.job?.make(this.#limit)
    const changed = await this.#store.update(
      name,
      (old, now): ScheduleChange => {
        checkFree(old)
        const { catchUp, catchUpLimit, description, enabled } = policyOf({
          catchUp: changes.catchUp ?? old.catchUp,
          catchUpLimit: changes.catchUpLimit ?? old.catchUpLimit,
          enabled: changes.enabled ?? old.enabled,
          ...optional(changes.description ?? old.description),
        })
        const policy = { catchUp, catchUpLimit, description, enabled }
        const next = timing ?? old.timing
        const begins = timing !== undefined || (enabled && !old.enabled)
        return { ...policy, timing: next, job: job ?? old.job, ...(begins && { nextMs: ticksOf(next).after(now) }) }
      },
      tx,
    )
    return recordOf(known(name, changed))
  }

  async remove(name: string, tx?: Queryable): Promise<void> {
    checkName(name)
    if (!(await this.#store.remove(name, checkFree, tx))) throw unknown(name)
  }

  async pause(name: string, tx?: Queryable): Promise<ScheduleRecord> {
    checkName(name)
    const paused = await this.#store.update(name, (old, now) => ({ pausedAtMs: old.pausedAtMs ?? now }), tx)
    return recordOf(known(name, paused))
  }

  async resume(name: string, tx?: Queryable): Promise<ScheduleRecord> {
    checkName(name)
    const resumed = await this.#store.update(
      name,
      (old, now) =>
        old.pausedAtMs === undefined ? {} : { pausedAtMs: undefined, nextMs: ticksOf(old.timing).after(now) },
      tx,
    )
    return recordOf(known(name, resumed))
  }

  async trigger(name: string, tx?: Queryable): Promise<Added> {
    checkName(name)
    const { job } = known(name, await this.#store.get(name, tx))
    return (await this.#driver.add([job], { tx })).added[0]!
  }

  async get(name: string): Promise<ScheduleRecord | undefined> {
    const found = await this.#find(name)
    return found && recordOf(found)
  }

  async list({ tenantId, limit = 100, after }: SchedulePage = {}): Promise<Slice<ScheduleRecord>> {
    const most = Math.min(Math.max(1, Math.trunc(limit)), 1000)
    const found = await this.#store.list(most + 1, after?.[0] ?? undefined, tenantId)
    const items = found.slice(0, most).map(recordOf)
    const next = found.length > most ? [items.at(-1)!.name] : undefined
    return { items, next, previous: undefined, total: undefined }
  }

  async preview(schedule: string | Schedule, { count, from }: PreviewOptions = {}): Promise<readonly PlannedRun[]> {
    const { timing } = typeof schedule === 'string' ? known(schedule, await this.#find(schedule)) : schedule
    return previewRuns(timing, from?.getTime() ?? (await this.#store.look()).nowMs, count)
  }

  /**
   * Makes the store agree with the code of `origin`: what is new is added, what has changed is changed, what is gone is
   * retired. A timing that is as it was keeps its next tick, so what a stop has missed is caught up. The last process to
   * start decides.
   */
  async declare(origin: string, schedules: readonly Schedule[]): Promise<readonly string[]> {
    const wanted = await Promise.all(schedules.map((schedule) => this.#definition(schedule)))
    // In one order in all processes, so that none waits for another in a circle.
    wanted.sort((a, b) => (a.name < b.name ? -1 : 1))
    return this.#store.declaring(async (tx) => {
      for (const one of wanted) await this.#declareOne(origin, one, tx)
      const gone = await this.#store.undeclared(
        origin,
        wanted.map(({ name }) => name),
        tx,
      )
      for (const name of gone) await this.#store.update(name, (_, now) => ({ retiredAtMs: now }), tx)
      return gone
    })
  }

  async #declareOne(origin: string, wanted: ScheduleDefinition, tx: Queryable | undefined): Promise<void> {
    const ticks = ticksOf(wanted.timing)
    const old = await this.#store.get(wanted.name, tx)
    if (old === undefined && (await this.#store.insert(wanted, origin, (now) => ticks.after(now), tx))) return
    if (old !== undefined && isSame(old, origin, wanted)) return
    await this.#store.update(
      wanted.name,
      (now, nowMs) => {
        const goesOn =
          sameText(now.timing, wanted.timing) && now.retiredAtMs === undefined && (now.enabled || !wanted.enabled)
        return { ...wanted, origin, retiredAtMs: undefined, nextMs: goesOn ? now.nextMs : ticks.after(nowMs) }
      },
      tx,
    )
  }

  async #find(name: string): Promise<StoredSchedule | undefined> {
    return isName(name) ? this.#store.get(name) : undefined
  }

  async #definition(schedule: Schedule): Promise<ScheduleDefinition> {
    const { name, timing, catchUp, catchUpLimit, description, enabled } = schedule
    // Through JSON, as the store has it: what is undefined is not there.
    const job = JSON.parse(JSON.stringify(await schedule.make(this.#limit))) as ScheduleDefinition['job']
    return { name, timing, catchUp, catchUpLimit, description, enabled, job }
  }
}

function checkName(name: string): void {
  if (!isName(name)) throw unknown(name)
}

/** What code of an app declares is changed there. */
function checkFree({ name, origin, retiredAtMs }: StoredSchedule): void {
  if (origin !== undefined && retiredAtMs === undefined)
    throw jobsErrors.error('jobs.schedule_declared', { meta: { name } })
}

function isSame(old: StoredSchedule, origin: string, wanted: ScheduleDefinition): boolean {
  const { name, timing, catchUp, catchUpLimit, description, enabled, job } = old
  return (
    old.origin === origin &&
    old.retiredAtMs === undefined &&
    sameText({ name, timing, catchUp, catchUpLimit, description, enabled, job }, wanted)
  )
}

function sameText(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}

function optional(description: string | undefined): { readonly description?: string } {
  return description === undefined ? {} : { description }
}

function known(name: string, schedule: StoredSchedule | undefined): StoredSchedule {
  if (schedule === undefined) throw unknown(name)
  return schedule
}

function unknown(name: string): Error {
  return jobsErrors.error('jobs.schedule_unknown', { meta: { name: String(name).slice(0, 64) } })
}

function recordOf(row: StoredSchedule): ScheduleRecord {
  const state =
    row.retiredAtMs !== undefined
      ? 'retired'
      : row.pausedAtMs !== undefined
        ? 'paused'
        : row.enabled
          ? 'active'
          : 'disabled'
  return {
    name: row.name,
    state,
    timing: row.timing,
    catchUp: row.catchUp,
    catchUpLimit: row.catchUpLimit,
    description: row.description,
    kind: row.job.kind,
    queue: row.job.queue,
    payload: JSON.parse(row.job.payload),
    tenantId: row.job.tenantId,
    origin: row.origin,
    nextAt: state === 'active' && row.nextMs < neverMs ? new Date(row.nextMs) : undefined,
    lastAt: row.lastMs === undefined ? undefined : new Date(row.lastMs),
    lastJob: row.lastJob,
    ticks: row.ticks,
    error: row.error,
    createdAt: new Date(row.createdAtMs),
    updatedAt: new Date(row.updatedAtMs),
  }
}
