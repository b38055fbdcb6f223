import type { Queryable } from '../../db/index.ts'
import type { Slice } from '../../../kernel/page.ts'
import { port } from '../../../kernel/plugin.ts'
import type { Port } from '../../../kernel/plugin.ts'
import type { Added, JobId } from '../driver.ts'
import type { PlannedRun, PreviewOptions } from './preview.ts'
import type { CatchUp, Schedule, SchedulePolicy, ScheduleTiming } from './schedule.ts'
import type { Timing } from './timing.ts'

/**
 * `active`: runs. `disabled`: by its definition. `paused`: by somebody at run time. `retired`: the code that declared it
 * does so no more; it is kept, with what is known about it.
 */
export type ScheduleState = 'active' | 'disabled' | 'paused' | 'retired'

/** A schedule as people see it. */
export interface ScheduleRecord {
  readonly name: string
  readonly state: ScheduleState
  readonly timing: Timing
  readonly catchUp: CatchUp
  readonly catchUpLimit: number
  readonly description: string | undefined
  readonly kind: string
  readonly queue: string
  readonly payload: unknown
  /** Of its jobs. */
  readonly tenantId: string | undefined
  /** The app whose code declares it; `undefined`: made at run time. */
  readonly origin: string | undefined
  /** `undefined` unless active. */
  readonly nextAt: Date | undefined
  /** The last tick whose job was added, and the job. */
  readonly lastAt: Date | undefined
  readonly lastJob: JobId | undefined
  /** Ticks so far. */
  readonly ticks: number
  /** Why the last try added no job. */
  readonly error: string | undefined
  readonly createdAt: Date
  readonly updatedAt: Date
}

/** What is left out stays as it is; a timing and a job are replaced as a whole. */
export type ScheduleChanges = SchedulePolicy & {
  readonly timing?: ScheduleTiming
  /** A definition whose job, payload and options replace the old ones. */
  readonly job?: Pick<Schedule, 'make'>
}

/** Which page of schedules. */
export interface SchedulePage {
  /** Only those whose jobs are of this tenant. */
  readonly tenantId?: string
  /** Default 100, at most 1000. */
  readonly limit?: number
  /** `next` of the page before. */
  readonly after?: readonly (string | null)[]
}

/**
 * Schedules at run time. Every writing method takes a transaction; changes hold from its commit on, in all processes.
 * What is declared in code can be paused here, and changed only there.
 */
export interface Schedules {
  /** Fails with `jobs.schedule_exists`, and as `Schedule.make` does. */
  create(schedule: Schedule, tx?: Queryable): Promise<ScheduleRecord>
  /** A new timing counts from now. Fails with `jobs.schedule_unknown`, `jobs.schedule_declared`, `jobs.schedule_invalid`. */
  update(name: string, changes: ScheduleChanges, tx?: Queryable): Promise<ScheduleRecord>
  /** Jobs that it has added stay. Fails with `jobs.schedule_unknown`, `jobs.schedule_declared`. */
  remove(name: string, tx?: Queryable): Promise<void>
  /** Holds over restarts. Fails with `jobs.schedule_unknown`. */
  pause(name: string, tx?: Queryable): Promise<ScheduleRecord>
  /** Goes on with the next tick from now; what fell into the pause is not caught up. Fails with `jobs.schedule_unknown`. */
  resume(name: string, tx?: Queryable): Promise<ScheduleRecord>
  /** Adds a job now, whatever the schedule's state, and changes nothing about its ticks. Fails with `jobs.schedule_unknown`. */
  trigger(name: string, tx?: Queryable): Promise<Added>
  get(name: string): Promise<ScheduleRecord | undefined>
  /** By name. */
  list(page?: SchedulePage): Promise<Slice<ScheduleRecord>>
  /** The next runs of a stored schedule (as if it were active) or of one that is only thought about. Fails with `jobs.schedule_unknown`. */
  preview(schedule: string | Schedule, options?: PreviewOptions): Promise<readonly PlannedRun[]>
}

export const schedulesPort: Port<Schedules> = port<Schedules>('schedules', () =>
  import('./plugin.ts').then((module) => module.schedules()),
)
