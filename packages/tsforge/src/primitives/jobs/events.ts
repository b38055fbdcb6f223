import { channel } from 'node:diagnostics_channel'
import type { Channel } from 'node:diagnostics_channel'
import type { DeadReason, JobError, JobId } from './driver.ts'

/** Jobs were added in one commit. Those of a caller's transaction are told of when it has committed. */
export interface JobsAdded {
  readonly kind: string
  readonly queue: string
  readonly count: number
}

interface JobFact {
  readonly id: JobId
  readonly kind: string
  readonly queue: string
}

/** A handler is about to run. */
export interface JobStarted extends JobFact {
  readonly attempt: number
  /** From the time it was due. */
  readonly waitMs: number
}

/** A run has ended and its end is committed. */
export interface JobFinished extends JobFact {
  readonly attempt: number
  readonly outcome: 'done' | 'retried' | 'snoozed' | 'dead' | 'cancelled' | 'released' | 'late'
  readonly runMs: number
  readonly error?: JobError | undefined
  readonly deadReason?: DeadReason | undefined
}

/** A job whose process went away was found. */
export interface JobRescued extends JobFact {
  readonly attempt: number
  readonly dead: boolean
}

/** Somebody ended jobs before they began, or asks running ones to end. */
export interface JobsCancelled {
  readonly cancelled: readonly JobId[]
  readonly requested: readonly JobId[]
}

/** Dead jobs run again. */
export interface JobsRedriven {
  readonly count: number
}

function named<Message>(name: string): Channel<unknown, Message> {
  return channel(name) as Channel<unknown, Message>
}

export const jobsAdded: Channel<unknown, JobsAdded> = named('job.added')
export const jobStarted: Channel<unknown, JobStarted> = named('job.started')
export const jobFinished: Channel<unknown, JobFinished> = named('job.finished')
export const jobRescued: Channel<unknown, JobRescued> = named('job.rescued')
export const jobsCancelled: Channel<unknown, JobsCancelled> = named('job.cancelled')
export const jobsRedriven: Channel<unknown, JobsRedriven> = named('job.redriven')
