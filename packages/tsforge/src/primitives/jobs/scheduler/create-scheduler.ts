import { systemClock } from '../../../kernel/clock.ts'
import type { Clock } from '../../../kernel/clock.ts'
import { silentLog } from '../../../kernel/log.ts'
import type { Log } from '../../../kernel/log.ts'
import { createMetrics } from '../../../kernel/metrics.ts'
import type { Metrics } from '../../../kernel/metrics.ts'
import type { Db } from '../../db/index.ts'
import type { JobsDriver } from '../driver.ts'
import { Leader } from './leader.ts'
import { memoryScheduleStore } from './memory-store.ts'
import { postgresScheduleStore } from './postgres-store.ts'
import type { Schedule } from './schedule.ts'
import type { Schedules } from './schedules.ts'
import type { ScheduleStore } from './store.ts'
import { StoredSchedules } from './stored-schedules.ts'

export interface SchedulerSettings {
  readonly driver: JobsDriver
  /** Where the schedules lie, with the jobs. Without it, or with a driver without transactions, in memory. */
  readonly db?: Db | undefined
  /** In place of the one that follows from these. */
  readonly store?: ScheduleStore
  /** Waits. It also tells the time where schedules lie in memory. */
  readonly clock?: Clock
  /** Tells the time in place of the database. For tests. */
  readonly time?: Pick<Clock, 'now'> | undefined
  readonly log?: Log
  readonly metrics?: Metrics
  /** Whose code declares schedules: the app's name. Default `app`. */
  readonly origin?: string
  /** Bytes that a payload may have. Default 1 MiB. */
  readonly payloadLimit?: number
  /** How often to look for changes that nobody has told of. Default 5 s. */
  readonly pollMs?: number
  /** False: declares and changes, but never ticks. Default true. */
  readonly enabled?: boolean
}

/** Ticks, and what people do with schedules. Any number of processes run one on the same database. */
export interface Scheduler {
  readonly schedules: Schedules
  /** Whether this process was the last one to tick, as far as it knows. */
  readonly leading: boolean
  /** Makes the table agree with the code. Gives the names of those that the code does not declare any more. */
  declare(schedules: readonly Schedule[]): Promise<readonly string[]>
  /** Begins to tick. */
  start(): Promise<void>
  /** Ends; waits for a tick under way. */
  stop(): Promise<void>
  /** Looks once and adds what is due. Gives how many jobs. For tests, and for those who keep the time themselves. */
  round(): Promise<number>
}

export function createScheduler(settings: SchedulerSettings): Scheduler {
  const { driver, db, clock = systemClock, time, log = silentLog, metrics = createMetrics() } = settings
  const { origin = 'app', payloadLimit = 1_048_576, pollMs = 5000, enabled = true } = settings
  const {
    store = db !== undefined && driver.capabilities.transactions
      ? postgresScheduleStore({ db, driver, time })
      : memoryScheduleStore({ driver, clock: time ?? clock }),
  } = settings
  const schedules = new StoredSchedules({ store, driver, payloadLimit })
  const leader = new Leader({ store, clock, log, metrics, pollMs })
  return {
    schedules,
    get leading() {
      return leader.leading
    },
    declare: (wanted) => schedules.declare(origin, wanted),
    start: async () => {
      if (enabled) await leader.start()
    },
    stop: () => leader.stop(),
    round: async () => (await leader.fire()).fired,
  }
}
