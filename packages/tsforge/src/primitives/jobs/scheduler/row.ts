import type { JobId, NewJob } from '../driver.ts'
import type { CatchUp } from './schedule.ts'
import type { ScheduleDefinition, StoredSchedule } from './store.ts'
import type { Timing } from './timing.ts'

export interface Row {
  readonly name: string
  readonly cron: string | null
  readonly every_ms: number | null
  readonly anchor: Date | null
  readonly time_zone: string
  readonly catch_up: CatchUp
  readonly catch_up_limit: number
  readonly description: string | null
  readonly job: string
  readonly origin: string | null
  readonly enabled: boolean
  readonly paused_at: Date | null
  readonly retired_at: Date | null
  readonly next_at: Date
  readonly last_at: Date | null
  readonly last_job: number | null
  readonly ticks: number
  readonly error: string | null
  readonly created_at: Date
  readonly updated_at: Date
}

export const columns = `name, cron, every_ms, anchor, time_zone, catch_up, catch_up_limit, description, job, origin, enabled,
  paused_at, retired_at, next_at, last_at, last_job, ticks, error, created_at, updated_at`

export function readRow(row: Row): StoredSchedule {
  const timing: Timing =
    row.cron === null
      ? { everyMs: Number(row.every_ms), anchorMs: row.anchor!.getTime(), timeZone: row.time_zone }
      : { cron: row.cron, timeZone: row.time_zone }
  return {
    name: row.name,
    timing,
    catchUp: row.catch_up,
    catchUpLimit: row.catch_up_limit,
    description: row.description ?? undefined,
    job: JSON.parse(row.job) as NewJob,
    origin: row.origin ?? undefined,
    enabled: row.enabled,
    pausedAtMs: row.paused_at?.getTime(),
    retiredAtMs: row.retired_at?.getTime(),
    nextMs: row.next_at.getTime(),
    lastMs: row.last_at?.getTime(),
    lastJob: row.last_job === null ? undefined : (Number(row.last_job) as JobId),
    ticks: Number(row.ticks),
    error: row.error ?? undefined,
    createdAtMs: row.created_at.getTime(),
    updatedAtMs: row.updated_at.getTime(),
  }
}

const time = (n: number): string => `to_timestamp($${n}::float8 / 1000)`

/** For `valuesOf`: sixteen columns, of which the last two are the next tick. */
export const place: string = `$1::text, $2::text, $3::bigint, ${time(4)}, $5::text, $6::text, $7::integer, $8::text, $9::boolean,
  $10::text, $11::text, $12::text, ${time(13)}, ${time(14)}, ${time(15)}, ${time(15)}`

export function valuesOf(
  schedule: ScheduleDefinition & Pick<StoredSchedule, 'origin' | 'pausedAtMs' | 'retiredAtMs' | 'nextMs'>,
): unknown[] {
  const { timing, job } = schedule
  return [
    schedule.name,
    'cron' in timing ? timing.cron : null,
    'cron' in timing ? null : timing.everyMs,
    'cron' in timing ? null : timing.anchorMs,
    timing.timeZone,
    schedule.catchUp,
    schedule.catchUpLimit,
    schedule.description ?? null,
    schedule.enabled,
    job.kind,
    JSON.stringify(job),
    schedule.origin ?? null,
    schedule.pausedAtMs ?? null,
    schedule.retiredAtMs ?? null,
    schedule.nextMs,
  ]
}
