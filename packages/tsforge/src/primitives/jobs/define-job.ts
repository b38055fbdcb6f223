import { jobsErrors } from './errors.ts'
import type { Job, JobSpec, PayloadInput, PayloadOutput, PayloadSchema } from './job.ts'
import { payloadCheck } from './payload.ts'

const namePattern = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/

/** Whether `text` can name a kind or a queue. */
export function isName(text: unknown): text is string {
  return typeof text === 'string' && namePattern.test(text)
}

/** Declares a kind of job. Throws `jobs.definition_invalid` at once when it cannot work. */
export function defineJob<const S extends PayloadSchema>(
  spec: JobSpec<PayloadInput<S>> & { readonly schema: S },
): Job<PayloadInput<S>, PayloadOutput<S>>
export function defineJob<Payload = unknown>(spec: JobSpec<Payload> & { readonly schema?: never }): Job<Payload>
export function defineJob<Payload>(spec: JobSpec<Payload>): Job<Payload> {
  const { kind, schema, queue = 'default', priority = 3, maxAttempts = 20, timeoutMs, backoff, keepDone = true } = spec
  const { baseMs = 1000, capMs = 3_600_000 } = backoff ?? {}
  const require = (right: boolean, reason: string): void => {
    if (!right) throw jobsErrors.error('jobs.definition_invalid', { meta: { kind: String(kind), reason } })
  }
  require(isName(kind), 'kind must be 1 to 128 letters, digits and ._:-')
  require(isName(queue), 'queue must be 1 to 128 letters, digits and ._:-')
  require([1, 2, 3, 4].includes(priority), 'priority must be 1, 2, 3 or 4')
  require(isCount(maxAttempts, 1000), 'maxAttempts must be 1 to 1000')
  require(timeoutMs === undefined || isCount(timeoutMs, longestMs), 'timeoutMs must be 1 to 2147483647')
  require(isCount(baseMs, longestMs) && isCount(capMs, longestMs), 'backoff must be 1 to 2147483647 ms')
  return {
    ...spec,
    queue,
    priority,
    maxAttempts,
    keepDone,
    backoff: { baseMs, capMs },
    check: payloadCheck<Payload>(kind, schema),
  }
}

/** What a Node timer and an `integer` column hold. */
export const longestMs: number = 2 ** 31 - 1

export function isCount(value: unknown, most: number): value is number {
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= most
}

/**
 * Full jitter (AWS Architecture Blog, "Exponential Backoff And Jitter"): a random time in [0, min(cap, base * 2^(attempt - 1))],
 * which no attempt lets overflow.
 */
export function backoffMs(
  { baseMs, capMs }: { readonly baseMs: number; readonly capMs: number },
  attempt: number,
  random: () => number = Math.random,
): number {
  return Math.floor(random() * Math.min(capMs, baseMs * 2 ** Math.min(Math.max(0, attempt - 1), 60)))
}
