import type { Clock } from '../../../kernel/clock.ts'
import type { JobsDriver } from '../driver.ts'
import { jobsErrors } from '../errors.ts'
import type { Plan } from './plan.ts'
import type { FiredTick, ScheduleDefinition, ScheduleStore, StoredSchedule } from './store.ts'

export interface MemoryScheduleStoreSettings {
  readonly driver: JobsDriver
  readonly clock: Pick<Clock, 'now'>
}

/** Schedules of this process, gone with it: for tests, and for jobs that lie in memory too. */
export function memoryScheduleStore({ driver, clock }: MemoryScheduleStoreSettings): ScheduleStore {
  const rows = new Map<string, StoredSchedule>()
  const listeners = new Set<() => void>()
  const refuse = (tx: unknown): void => {
    if (tx !== undefined) throw jobsErrors.error('jobs.tx_unsupported')
  }
  const put = (row: StoredSchedule): void => {
    rows.set(row.name, row)
    for (const listener of listeners) listener()
  }
  const active = (): StoredSchedule[] =>
    [...rows.values()]
      .filter((row) => row.enabled && row.pausedAtMs === undefined && row.retiredAtMs === undefined)
      .toSorted((a, b) => a.nextMs - b.nextMs || (a.name < b.name ? -1 : 1))

  return {
    transactions: false,
    look: async () => ({ nowMs: clock.now(), wakeMs: active()[0]?.nextMs }),

    async fire(planOf, most) {
      const nowMs = clock.now()
      const found = active().filter((row) => row.nextMs <= nowMs)
      const fired: FiredTick[] = []
      const plans: { schedule: StoredSchedule; plan: Plan }[] = []
      const failed: { schedule: string; error: unknown }[] = []
      for (const schedule of found.slice(0, most)) {
        const plan = planOf(schedule, nowMs)
        // Before anything else gets a turn, and undone when the jobs cannot be added.
        const moved = { ...schedule, nextMs: plan.nextMs, error: undefined }
        rows.set(schedule.name, moved)
        try {
          const { added } = await driver.add(plan.fire.map((atMs) => ({ ...schedule.job, runAtMs: atMs })))
          const ticks = plan.fire.map((atMs, i) => ({ schedule, atMs, job: jobOf(added[i]!) }))
          const now = rows.get(schedule.name)
          if (now !== undefined) {
            rows.set(schedule.name, {
              ...now,
              lastMs: plan.fire.at(-1) ?? now.lastMs,
              lastJob: ticks.findLast(({ job }) => job !== undefined)?.job ?? now.lastJob,
              ticks: now.ticks + ticks.length,
            })
          }
          fired.push(...ticks)
          plans.push({ schedule, plan })
        } catch (error) {
          failed.push({ schedule: schedule.name, error })
          if (rows.get(schedule.name) === moved) rows.set(schedule.name, { ...schedule, error: String(error) })
        }
      }
      return { busy: false, nowMs, fired, plans, failed, more: found.length > most }
    },

    async insert(definition: ScheduleDefinition, origin, nextOf, tx) {
      refuse(tx)
      if (rows.has(definition.name)) return false
      const now = clock.now()
      put({
        ...definition,
        origin,
        pausedAtMs: undefined,
        retiredAtMs: undefined,
        nextMs: nextOf(now),
        lastMs: undefined,
        lastJob: undefined,
        ticks: 0,
        error: undefined,
        createdAtMs: now,
        updatedAtMs: now,
      })
      return true
    },

    async update(name, change, tx) {
      refuse(tx)
      const old = rows.get(name)
      if (old === undefined) return undefined
      const wanted = { ...old, ...change(old, clock.now()), updatedAtMs: clock.now(), error: undefined }
      put(wanted)
      return wanted
    },

    async remove(name, check, tx) {
      refuse(tx)
      const old = rows.get(name)
      if (old !== undefined) check(old)
      return rows.delete(name)
    },

    async get(name, tx) {
      refuse(tx)
      return rows.get(name)
    },

    list: async (limit, after = '', tenantId) =>
      [...rows.values()]
        .filter(({ name, job }) => name > after && (tenantId === undefined || job.tenantId === tenantId))
        .toSorted((a, b) => (a.name < b.name ? -1 : 1))
        .slice(0, limit),

    declaring: (work) => work(undefined),
    undeclared: async (origin, names) =>
      [...rows.values()]
        .filter((row) => row.origin === origin && row.retiredAtMs === undefined && !names.includes(row.name))
        .map(({ name }) => name),

    async subscribe(listener) {
      listeners.add(listener)
      return async () => void listeners.delete(listener)
    },
  }
}

function jobOf({ id, outcome }: { readonly id: number | undefined; readonly outcome: string }): number | undefined {
  return outcome === 'existing' ? undefined : id
}
