import type { Clock } from '../clock.ts'
import { ForgeError } from '../errors.ts'
import { isAbort, resilienceErrors } from './errors.ts'

export interface BackoffSettings {
  /** Ceiling of the first wait, default 100 ms. */
  readonly baseMs?: number
  /** Ceiling of every wait, default 10 s. */
  readonly capMs?: number
  /** Growth of the ceiling from one wait to the next, default 2. */
  readonly factor?: number
}

/**
 * A wait with full jitter (Brooker, "Exponential Backoff And Jitter"): evenly between 0 and
 * `min(capMs, baseMs × factor^n)`, `n` counted from 0. Sound for every `n`.
 */
export function backoffMs(
  n: number,
  { baseMs = 100, capMs = 10_000, factor = 2 }: BackoffSettings = {},
  random: () => number = Math.random,
): number {
  if (baseMs === 0) return 0
  return random() * Math.min(capMs, baseMs * factor ** n)
}

export interface RetryAttempt {
  /** 1 for the first try. */
  readonly number: number
  readonly signal: AbortSignal | undefined
}

export interface RetrySettings extends BackoffSettings {
  readonly clock: Clock
  /** Tries in all, default 3. */
  readonly attempts?: number
  /** Ends waiting and trying. */
  readonly signal?: AbortSignal | undefined
  /** Default: see `isTransient`. Aborts are never retried, whatever it says. */
  retryIf?(error: unknown): boolean
  /** Shared by calls to one system, so that retries cannot multiply an outage. */
  readonly budget?: RetryBudget
  /** Waits by its own schedule alone: for errors whose Retry-After is meant for callers further out. */
  readonly ignoreRetryAfter?: boolean
  /** Called before each wait. */
  onRetry?(event: { readonly error: unknown; readonly attempt: number; readonly delayMs: number }): void
  readonly random?: () => number
}

/** Whether trying again may help: not for refusals of our own making (4xx but 408 and 429) and not behind an open circuit. */
export function isTransient(error: unknown): boolean {
  if (!(error instanceof ForgeError)) return true
  if (resilienceErrors.is(error, 'resilience.circuit_open')) return false
  return error.status >= 500 || error.status === 408 || error.status === 429
}

/**
 * Runs `work` until it succeeds, at most `attempts` times. An error with `retryAfterMs` waits at least that
 * long, and is thrown when that is beyond `capMs`. Throws the last error of `work`, also when the signal
 * ended a wait.
 */
export async function retry<T>(work: (attempt: RetryAttempt) => T | Promise<T>, settings: RetrySettings): Promise<T> {
  const { clock, attempts = 3, capMs = 10_000, signal, retryIf = isTransient, budget, random = Math.random } = settings
  signal?.throwIfAborted()
  for (let number = 1; ; number++) {
    try {
      const result = await work({ number, signal })
      budget?.succeeded()
      return result
    } catch (error) {
      if (isAbort(error, signal) || !retryIf(error)) throw error
      const affordable = budget?.failed() ?? true
      const askedMs = settings.ignoreRetryAfter === true ? 0 : retryAfterOf(error)
      if (number >= attempts || !affordable || askedMs > capMs) throw error
      const delayMs = askedMs + backoffMs(number - 1, settings, random)
      settings.onRetry?.({ error, attempt: number, delayMs })
      const woken = await clock.sleep(delayMs, signal).then(
        () => true,
        () => false,
      )
      if (!woken) throw error
    }
  }
}

function retryAfterOf(error: unknown): number {
  const asked = error instanceof Error && 'retryAfterMs' in error ? error.retryAfterMs : undefined
  return typeof asked === 'number' && asked > 0 ? asked : 0
}

/** Counts failures against successes and says whether retries are affordable. */
export interface RetryBudget {
  succeeded(): void
  /** Takes one token; true while more than half of them are left. */
  failed(): boolean
}

/**
 * A budget of `tokens` (default 100): a failure costs one, a success gives `ratio` (default 0.1) back, and
 * below half there are no retries. With the defaults retries add at most about 10 % of load in the long run
 * (the rule of gRPC's retry throttling, proposal A6).
 */
export function createRetryBudget({
  tokens = 100,
  ratio = 0.1,
}: { readonly tokens?: number; readonly ratio?: number } = {}): RetryBudget {
  let left = tokens
  return {
    succeeded: () => void (left = Math.min(tokens, left + ratio)),
    failed: () => {
      left = Math.max(0, left - 1)
      return left > tokens / 2
    },
  }
}
