import type { JobRecord, JobState, Priority, QueueStats } from './driver.ts'
import type { ScheduleRecord, ScheduleState } from './scheduler/schedules.ts'

/** A job as it is told outside of code, by the CLI and over HTTP; nothing here is what code tells code. */
export interface JobFacts {
  id: number
  kind: string
  queue: string
  state: JobState
  priority: Priority
  attempt: number
  max_attempts: number
  run_at: Date
  created_at: Date
  finished_at: Date | null
  run_ms: number | null
  key: string | null
  tags: string[]
  dead_reason: string | null
  cancel_requested: boolean
}

export interface QueueFacts {
  queue: string
  paused: boolean
  oldest_ms: number
  counts: Record<JobState, number>
}

export interface ScheduleFacts {
  name: string
  state: ScheduleState
  description: string | null
  /** `null` where `every_ms` tells. */
  cron: string | null
  every_ms: number | null
  time_zone: string
  catch_up: string
  kind: string
  queue: string
  next_at: Date | null
  last_at: Date | null
  last_job: number | null
  ticks: number
}

export function jobFacts(job: JobRecord): JobFacts {
  return {
    id: job.id,
    kind: job.kind,
    queue: job.queue,
    state: job.state,
    priority: job.priority,
    attempt: job.attempt,
    max_attempts: job.maxAttempts,
    run_at: job.runAt,
    created_at: job.createdAt,
    finished_at: job.finishedAt ?? null,
    run_ms: job.runMs ?? null,
    key: job.key ?? null,
    tags: [...job.tags],
    dead_reason: job.deadReason ?? null,
    cancel_requested: job.cancelRequested,
  }
}

export function queueFacts({ queue, paused, oldestMs, counts }: QueueStats): QueueFacts {
  return { queue, paused, oldest_ms: Math.max(0, Math.round(oldestMs)), counts: { ...counts } }
}

export function scheduleFacts(schedule: ScheduleRecord): ScheduleFacts {
  const { timing } = schedule
  return {
    name: schedule.name,
    state: schedule.state,
    description: schedule.description ?? null,
    cron: 'cron' in timing ? timing.cron : null,
    every_ms: 'cron' in timing ? null : timing.everyMs,
    time_zone: timing.timeZone,
    catch_up: schedule.catchUp,
    kind: schedule.kind,
    queue: schedule.queue,
    next_at: schedule.nextAt ?? null,
    last_at: schedule.lastAt ?? null,
    last_job: schedule.lastJob ?? null,
    ticks: schedule.ticks,
  }
}
