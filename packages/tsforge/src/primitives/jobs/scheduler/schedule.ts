import { parseDuration } from '../../../kernel/durations.ts'
import type { Duration } from '../../../kernel/durations.ts'
import { isName } from '../define-job.ts'
import type { NewJob } from '../driver.ts'
import type { Job } from '../job.ts'
import type { EnqueueOptions } from '../jobs.ts'
import { newJob } from '../new-job.ts'
import { invalid } from './cron.ts'
import { ticksOf } from './timing.ts'
import type { Timing } from './timing.ts'

/**
 * What becomes of ticks that nobody was there for, found more than a minute late. `skip`: nothing. `one`: one run
 * makes good for all of them. `all`: each runs, at most `catchUpLimit` of the latest.
 */
export type CatchUp = 'skip' | 'one' | 'all'

/** What holds for every job of the schedule, but for its time. */
export type ScheduledJobOptions = Omit<EnqueueOptions, 'runAt' | 'delayMs'>

export interface ScheduleTiming {
  /** Five or six fields; `parseCron` tells the words. Either this or `every`. */
  readonly cron?: string
  /** At least `'1s'`, at most 366 days. Counted from `anchor`, so it never drifts. */
  readonly every?: Duration
  /** IANA name by whose wall clock `cron` is meant. Default `UTC`, on every machine. */
  readonly timeZone?: string
  /** Of `every`: the first tick. Default 1970-01-01T00:00Z, so that `'15m'` runs at :00, :15, :30 and :45. */
  readonly anchor?: Date
}

export interface SchedulePolicy {
  /** Default `one`. */
  readonly catchUp?: CatchUp
  /** Of `all`: 1 to 1000, default 100. */
  readonly catchUpLimit?: number
  /** Default true. */
  readonly enabled?: boolean
  /** For people, at most 500 characters. */
  readonly description?: string
}

export interface ScheduleSpec<Payload> extends ScheduleTiming, SchedulePolicy {
  /** Stable for ever, 1 to 64 letters, digits and `._:-`. Its jobs carry the tag `schedule:<name>`. */
  readonly name: string
  /** What runs. Its `runAtMs` is the tick, whenever it really runs. */
  readonly job: Job<Payload, unknown>
  readonly options?: ScheduledJobOptions
}

/** The payload of every run; may be left out where a job takes anything. */
export type WithPayload<Payload> = unknown extends Payload
  ? { readonly payload?: Payload }
  : { readonly payload: Payload }

/** A schedule that can be declared or created; checked but for its payload. */
export interface Schedule {
  readonly name: string
  readonly timing: Timing
  readonly catchUp: CatchUp
  readonly catchUpLimit: number
  readonly enabled: boolean
  readonly description: string | undefined
  readonly kind: string
  /** The job of a tick, without its time. Rejects with `jobs.payload_invalid`, `jobs.payload_too_large`, `jobs.option_invalid`. */
  make(payloadLimit: number): Promise<NewJob>
}

/** Says when which job runs. Throws `jobs.schedule_invalid` at once when it cannot work. */
export function defineSchedule<Payload>(spec: ScheduleSpec<Payload> & WithPayload<Payload>): Schedule {
  const { name, job, options } = spec
  if (!isName(name) || name.length > 64) throw invalid('name', '1 to 64 letters, digits and ._:-')
  const payload = ((spec as { readonly payload?: Payload }).payload ?? null) as Payload
  return {
    name,
    timing: timingOf(spec),
    ...policyOf(spec),
    kind: job.kind,
    make: (limit) => template(name, job as Job<Payload>, payload, options, limit),
  }
}

/** Throws `jobs.schedule_invalid`. */
export function timingOf({ cron, every, timeZone = 'UTC', anchor }: ScheduleTiming): Timing {
  if ((cron === undefined) === (every === undefined)) throw invalid('cron', 'either "cron" or "every" is given')
  if (cron !== undefined && anchor !== undefined) throw invalid('anchor', 'it belongs to "every"')
  const timing: Timing =
    cron === undefined ? { everyMs: everyMsOf(every!), anchorMs: anchor?.getTime() ?? 0, timeZone } : { cron, timeZone }
  ticksOf(timing)
  return timing
}

export function policyOf({
  catchUp = 'one',
  catchUpLimit = 100,
  enabled = true,
  description,
}: SchedulePolicy): Pick<Schedule, 'catchUp' | 'catchUpLimit' | 'enabled' | 'description'> {
  if (!['skip', 'one', 'all'].includes(catchUp)) throw invalid('catchUp', 'skip, one or all')
  if (!Number.isInteger(catchUpLimit) || catchUpLimit < 1 || catchUpLimit > 1000)
    throw invalid('catchUpLimit', '1 to 1000')
  if (typeof enabled !== 'boolean') throw invalid('enabled', 'true or false')
  if (description !== undefined && !isText(description))
    throw invalid('description', 'at most 500 characters, without NUL')
  return { catchUp, catchUpLimit, enabled, description }
}

function isText(text: unknown): boolean {
  return typeof text === 'string' && text.length <= 500 && !text.includes('\0') && text.isWellFormed()
}

function everyMsOf(every: Duration): number {
  try {
    return parseDuration(every)
  } catch (cause) {
    throw invalid('every', (cause as Error).message, cause)
  }
}

async function template<Payload>(
  name: string,
  job: Job<Payload>,
  payload: Payload,
  options: ScheduledJobOptions = {},
  limit: number,
): Promise<NewJob> {
  const { runAt: _, delayMs: __, ...rest } = options as EnqueueOptions
  const nobody = { tenantId: undefined, meta: undefined }
  const made = newJob(job, payload, await job.check(payload), rest, nobody, limit)
  return { ...made, tags: [...(made.tags ?? []), `schedule:${name}`] }
}
