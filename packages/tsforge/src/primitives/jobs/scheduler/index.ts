export { createScheduler } from './create-scheduler.ts'
export type { Scheduler, SchedulerSettings } from './create-scheduler.ts'
export { scheduleFailed, scheduleFired, schedulerLed, scheduleSkipped } from './events.ts'
export type { ScheduleFailed, ScheduleFired, SchedulerLed, ScheduleSkipped } from './events.ts'
export type { PlannedRun, PreviewOptions } from './preview.ts'
export { defineSchedule } from './schedule.ts'
export type {
  CatchUp,
  Schedule,
  ScheduledJobOptions,
  SchedulePolicy,
  ScheduleSpec,
  ScheduleTiming,
  WithPayload,
} from './schedule.ts'
export { schedulesPort } from './schedules.ts'
export type { ScheduleChanges, SchedulePage, ScheduleRecord, Schedules, ScheduleState } from './schedules.ts'
export type { CronTiming, IntervalTiming, Timing } from './timing.ts'
