import { backoffMs } from '../define-job.ts'
import type { Finished, JobError } from '../driver.ts'
import { Discard, JobAborted, RetryAfter, Snooze } from './handler.ts'
import type { Report } from './reports.ts'
import type { Run } from './run.ts'

/** Bytes of an output that is kept; longer ones are left out. */
const outputLimit = 262_144

/** A handler's answer as it is stored. What it did is done: an output that cannot be kept makes no run a failure. */
export function success(run: Run, output: unknown, now: number): Report {
  // It waits, whatever its handler made of that.
  if (run.steps?.suspendedMs !== undefined) return failure(run, undefined, now)
  const { id, meta } = run.job
  const lease = run.held.id
  const runMs = now - run.startedAt
  // Whoever waits for it is told, and its steps go with it, where an output is kept.
  const told = run.steps !== undefined || meta.parent !== undefined
  const keep = told || run.kind.job.keepDone
  const text = keep && output !== undefined ? outputOf(run, output) : undefined
  return {
    finished: { id, lease, as: 'done', keep, runMs, output: told ? (text ?? 'null') : text },
    run,
    ending: { outcome: 'done', runMs },
  }
}

function outputOf(run: Run, output: unknown): string | undefined {
  try {
    const text = JSON.stringify(output) as string | undefined
    if (text === undefined || text.length <= outputLimit) return text
    run.log.warn({ bytes: text.length, limit: outputLimit }, 'the output of a job is too large to be kept')
  } catch (error) {
    run.log.warn({ err: error }, 'the output of a job cannot be written as JSON')
  }
  return undefined
}

/** What a handler's error means. */
export function failure(run: Run, thrown: unknown, now: number): Report {
  const { job, aborted } = run
  const { id } = job
  const lease = run.held.id
  const runMs = now - run.startedAt
  if (aborted === 'cancelled')
    return { finished: { id, lease, as: 'cancelled' }, run, ending: { outcome: 'cancelled', runMs } }
  if (aborted === 'shutdown')
    return { finished: { id, lease, as: 'released' }, run, ending: { outcome: 'released', runMs } }
  const delayMs = run.steps?.suspendedMs ?? (thrown instanceof Snooze ? thrown.delayMs : undefined)
  if (delayMs !== undefined) {
    return { finished: { id, lease, as: 'snoozed', delayMs }, run, ending: { outcome: 'snoozed', runMs } }
  }
  const error = errorOf(aborted === undefined ? thrown : new JobAborted(aborted))
  if (thrown instanceof Discard) {
    const finished: Finished = { id, lease, as: 'discarded', error }
    return { finished, run, ending: { outcome: 'dead', runMs, error, deadReason: 'discarded' } }
  }
  const waitMs = thrown instanceof RetryAfter ? thrown.delayMs : backoffMs(run.kind.job.backoff, job.attempt)
  const dead = job.attempt >= job.maxAttempts
  const finished: Finished = { id, lease, as: 'failed', error, delayMs: waitMs }
  return {
    finished,
    run,
    ending: dead ? { outcome: 'dead', runMs, error, deadReason: 'failed' } : { outcome: 'retried', runMs, error },
  }
}

/** Handed back as if it had never been claimed. */
export function released(id: number, lease: number): Report {
  return { finished: { id, lease, as: 'released' }, run: undefined, ending: undefined }
}

/** Bounded: an error may quote megabytes. Half characters are replaced, since the store takes none. */
export function errorOf(thrown: unknown): JobError {
  try {
    if (thrown instanceof Error) {
      const { name, message, stack } = thrown
      return {
        name: cut(name, 200),
        message: cut(message, 2000),
        stack: stack === undefined ? undefined : cut(stack, 8000),
      }
    }
    return {
      name: 'Error',
      message: cut(typeof thrown === 'string' ? thrown : (JSON.stringify(thrown) ?? String(thrown)), 2000),
    }
  } catch {
    return { name: 'Error', message: 'It threw something that cannot be written down.' }
  }
}

function cut(text: unknown, most: number): string {
  return String(text).slice(0, most).toWellFormed()
}
