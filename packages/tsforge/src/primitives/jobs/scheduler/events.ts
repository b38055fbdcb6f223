import { channel } from 'node:diagnostics_channel'
import type { Channel } from 'node:diagnostics_channel'
import type { JobId } from '../driver.ts'

/** A tick is committed with its job. */
export interface ScheduleFired {
  readonly schedule: string
  readonly kind: string
  /** The tick. */
  readonly at: Date
  /** From the tick to its commit, by the clock of the store. */
  readonly lagMs: number
  /** `undefined` when the dedupe key of an open job left nothing to add. */
  readonly job: JobId | undefined
}

/** Ticks were missed, and the catch-up policy leaves them out. */
export interface ScheduleSkipped {
  readonly schedule: string
  /** The first of them. */
  readonly from: Date
  /** None of them is at or after this. */
  readonly until: Date
}

/** The job of a tick could not be added; it is tried again within minutes, and no other schedule waits for it. */
export interface ScheduleFailed {
  readonly schedule: string
  readonly error: unknown
}

/** This process has begun, or ceased, to be the one that ticks. */
export interface SchedulerLed {
  readonly leading: boolean
}

function named<Message>(name: string): Channel<unknown, Message> {
  return channel(name) as Channel<unknown, Message>
}

export const scheduleFired: Channel<unknown, ScheduleFired> = named('schedule.fired')
export const scheduleSkipped: Channel<unknown, ScheduleSkipped> = named('schedule.skipped')
export const scheduleFailed: Channel<unknown, ScheduleFailed> = named('schedule.failed')
export const schedulerLed: Channel<unknown, SchedulerLed> = named('scheduler.led')
