import type { Log } from '../../../kernel/log.ts'
import type { JobId, JobMeta } from '../driver.ts'
import { jobsErrors } from '../errors.ts'
import type { Job } from '../job.ts'
import type { Step } from '../steps/step.ts'

/** The facts of a claimed job that its handler may care about. */
export interface RunningJob {
  readonly id: JobId
  readonly kind: string
  readonly queue: string
  /** 1 for the first. */
  readonly attempt: number
  readonly maxAttempts: number
  /** Milliseconds since the epoch, by the clock of the store. */
  readonly runAtMs: number
  readonly createdAtMs: number
  readonly key: string | undefined
  readonly tenantId: string | undefined
  readonly tags: readonly string[]
  readonly meta: JobMeta
}

/** One run of a job, as its handler gets it. */
export interface JobCall<Payload = unknown> {
  readonly payload: Payload
  readonly job: RunningJob
  readonly attempt: number
  /**
   * Aborted with a `JobAborted` when the time is up, somebody cancels the job, its lease is lost or the process has to
   * end. What a handler does afterwards may be done a second time by another process.
   */
  readonly signal: AbortSignal
  /** Names the job in each line. */
  readonly log: Log
  /** Remembers what is done, sleeps and waits without holding a worker. Its first use reads what the job has done so far. */
  readonly step: Step
  /** Tells how far it is, as JSON of its own. Written at most once a second, the latest one wins; never fails. */
  progress(value: unknown): void
}

/**
 * Runs one job. What it gives is kept as its output (as JSON), unless its kind keeps no history. What it throws
 * counts as a failed attempt, except for `RetryAfter`, `Snooze` and `Discard`, which say what they want.
 * It may run more than once: after a crash, a lost lease, or when its end could not be stored.
 */
export type Handler<Payload = unknown> = (call: JobCall<Payload>) => unknown

/** A kind of job and what runs it. */
export interface JobHandler {
  readonly job: Job
  readonly run: Handler
}

/** Declares what runs a kind of job: `handle(sendMail, async ({ payload, signal }) => { … })`. */
export function handle<Payload, Handled>(job: Job<Payload, Handled>, run: Handler<Handled>): JobHandler {
  return { job: job as unknown as Job, run: run as Handler }
}

/** By kind. Throws `jobs.definition_invalid` when two handlers want one kind. */
export function handlersByKind(handlers: readonly JobHandler[]): ReadonlyMap<string, JobHandler> {
  const byKind = new Map<string, JobHandler>()
  for (const handler of handlers) {
    const { kind } = handler.job
    if (byKind.has(kind))
      throw jobsErrors.error('jobs.definition_invalid', { meta: { kind, reason: 'two handlers are declared for it' } })
    byKind.set(kind, handler)
  }
  return byKind
}

const farthestMs = 100 * 366 * 86_400_000

function bounded(ms: number): number {
  return Number.isNaN(ms) ? 0 : Math.min(Math.max(0, ms), farthestMs)
}

/** Throw it to try again after exactly this long, in place of the kind's backoff. The attempt counts. */
export class RetryAfter extends Error {
  override readonly name = 'RetryAfter'
  readonly delayMs: number

  /** `delayMs`: 0 to 100 years. */
  constructor(delayMs: number, reason = 'it asked to be tried again later', options?: ErrorOptions) {
    super(reason, options)
    this.delayMs = bounded(delayMs)
  }
}

/** Throw it to go on later without having failed: the attempt does not count. */
export class Snooze extends Error {
  override readonly name = 'Snooze'
  readonly delayMs: number

  /** `delayMs`: 0 to 100 years. */
  constructor(delayMs: number) {
    super('it goes on later')
    this.delayMs = bounded(delayMs)
  }
}

/** Throw it when no further attempt can help: the job is dead at once. */
export class Discard extends Error {
  override readonly name = 'Discard'
}

/** `shutdown`: the process ends, and the job will run again elsewhere. */
export type AbortReason = 'timeout' | 'cancelled' | 'lease_lost' | 'shutdown'

const sentences: Readonly<Record<AbortReason, string>> = {
  timeout: 'the time for this run is up',
  cancelled: 'somebody has cancelled this job',
  lease_lost: 'this process was silent for too long, and another one may run this job',
  shutdown: 'the process has to end',
}

/** The `reason` of a run's aborted signal. */
export class JobAborted extends Error {
  override readonly name = 'JobAborted'
  readonly reason: AbortReason

  constructor(reason: AbortReason) {
    super(sentences[reason])
    this.reason = reason
  }
}
