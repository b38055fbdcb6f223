import type { Queryable } from '../../db/index.ts'
import type { JobId, NewJob } from '../driver.ts'
import type { Plan } from './plan.ts'
import type { CatchUp } from './schedule.ts'
import type { Timing } from './timing.ts'

/** What somebody wrote down. */
export interface ScheduleDefinition {
  readonly name: string
  readonly timing: Timing
  readonly catchUp: CatchUp
  readonly catchUpLimit: number
  readonly description: string | undefined
  readonly enabled: boolean
  /** The job of each tick, without its time. */
  readonly job: NewJob
}

export interface StoredSchedule extends ScheduleDefinition {
  /** The app that declares it in its code. */
  readonly origin: string | undefined
  readonly pausedAtMs: number | undefined
  /** Since when the code of `origin` does not declare it any more. */
  readonly retiredAtMs: number | undefined
  /** The first tick that has not been dealt with. */
  readonly nextMs: number
  /** The last tick whose job was added, and the job. */
  readonly lastMs: number | undefined
  readonly lastJob: JobId | undefined
  /** Jobs added so far. */
  readonly ticks: number
  /** Why the last try added nothing; it is tried again. */
  readonly error: string | undefined
  readonly createdAtMs: number
  readonly updatedAtMs: number
}

/** What may be changed about a stored schedule. */
export type ScheduleChange = Partial<
  Pick<StoredSchedule, 'origin' | 'pausedAtMs' | 'retiredAtMs' | 'nextMs'> & Omit<ScheduleDefinition, 'name'>
>

export interface FiredTick {
  readonly schedule: StoredSchedule
  readonly atMs: number
  /** `undefined` when the job's own dedupe key left nothing to add. */
  readonly job: JobId | undefined
}

export interface Firing {
  /** Another process is at it. */
  readonly busy: boolean
  readonly nowMs: number
  readonly fired: readonly FiredTick[]
  readonly plans: readonly { readonly schedule: StoredSchedule; readonly plan: Plan }[]
  readonly failed: readonly { readonly schedule: string; readonly error: unknown }[]
  /** There may be more that are due. */
  readonly more: boolean
}

/**
 * Where schedules lie. Time is that of the store. Rows of schedules, and the jobs of ticks, are committed together:
 * whatever dies when, each tick is added once.
 */
export interface ScheduleStore {
  /** `tx` is honoured. */
  readonly transactions: boolean
  /** The time, and when the first schedule wants to be looked at. */
  look(): Promise<{ readonly nowMs: number; readonly wakeMs: number | undefined }>
  /** Adds the jobs of up to `most` due schedules. What fails for one of them holds up no other. */
  fire(plan: (schedule: StoredSchedule, nowMs: number) => Plan, most: number): Promise<Firing>
  /** False when the name is taken. */
  insert(
    definition: ScheduleDefinition,
    origin: string | undefined,
    nextOf: (nowMs: number) => number,
    tx?: Queryable,
  ): Promise<boolean>
  /** Changes one under a lock. Gives what it is now; `undefined` when there is none. `change` may throw. */
  update(
    name: string,
    change: (schedule: StoredSchedule, nowMs: number) => ScheduleChange,
    tx?: Queryable,
  ): Promise<StoredSchedule | undefined>
  /** `check` may throw. */
  remove(name: string, check: (schedule: StoredSchedule) => void, tx?: Queryable): Promise<boolean>
  get(name: string, tx?: Queryable): Promise<StoredSchedule | undefined>
  /** By name, from the first one after `after`; with `tenantId` those whose jobs are of that tenant. */
  list(limit: number, after?: string, tenantId?: string): Promise<readonly StoredSchedule[]>
  /** Runs `work` alone among all processes that declare. */
  declaring<T>(work: (tx: Queryable | undefined) => Promise<T>): Promise<T>
  /** Declared by `origin`, in none of `names`, not retired yet. */
  undeclared(origin: string, names: readonly string[], tx: Queryable | undefined): Promise<readonly string[]>
  /** Hears that schedules have changed, possibly elsewhere. May miss any. */
  subscribe(listener: () => void): Promise<() => Promise<void>>
}
