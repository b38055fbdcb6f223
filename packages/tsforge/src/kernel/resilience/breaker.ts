import { BoundedMap } from '../bounded-map.ts'
import type { Clock } from '../clock.ts'
import { ForgeError } from '../errors.ts'
import { isAbort, resilienceErrors } from './errors.ts'
import { createRateWindow } from './rate-window.ts'

export type BreakerState = 'closed' | 'open' | 'half_open'

export interface BreakerChange {
  readonly name: string
  readonly from: BreakerState
  readonly to: BreakerState
}

export interface BreakerSettings {
  readonly name: string
  readonly clock: Clock
  /** Failures in a row that open it, default 5. */
  readonly failures?: number
  /** Share of failed or slow calls that opens it, default 0.5 of at least 20 calls in 10 s. `false` for none. */
  readonly rate?: false | { readonly share?: number; readonly minimum?: number; readonly windowMs?: number }
  /** Calls that take longer count as failed. Default: none. */
  readonly slowMs?: number
  /** How long it stays open, default 30 s. */
  readonly openMs?: number
  /** Calls that may try at the same time when it is half open, default 1. */
  readonly probes?: number
  /** Successes of such calls that close it, default 1. */
  readonly successes?: number
  /** Whether an error is the fault of the system behind. Default: all but 4xx of our own. The caller's abort is never asked about. */
  isFailure?(error: unknown): boolean
  /** Told after the state has changed; may use the breaker. What it throws is dropped. */
  onChange?(change: BreakerChange): void
}

/** Stops calling a system that fails, and finds out when it is well again. */
export interface Breaker {
  readonly name: string
  readonly state: BreakerState
  /**
   * Runs `work` unless the circuit is open. `signal` is the caller's: its abort counts neither as success nor as failure.
   * @throws `resilience.circuit_open` with `retryAfterMs`.
   */
  run<T>(work: () => T | Promise<T>, signal?: AbortSignal): Promise<T>
}

/** A circuit breaker. Results of calls that began in an earlier state are not counted. */
export function createBreaker(settings: BreakerSettings): Breaker {
  const {
    name,
    clock,
    failures = 5,
    slowMs = Number.POSITIVE_INFINITY,
    openMs = 30_000,
    probes = 1,
    successes = 1,
  } = settings
  const { isFailure = isOutage, rate = {}, onChange } = settings
  const window = rate === false ? undefined : createRateWindow(clock, rate)
  let state: BreakerState = 'closed'
  /** Grows with every change; a call carries the one it began in. */
  let era = 0
  let since = 0
  let inARow = 0
  let probing = 0
  let healed = 0

  const enter = (to: BreakerState): void => {
    const from = state
    state = to
    era++
    since = clock.monotonic()
    inARow = probing = healed = 0
    window?.reset()
    if (from === to) return
    try {
      onChange?.({ name, from, to })
    } catch {
      // A listener has no say in whether calls succeed.
    }
  }

  const admit = (): number => {
    if (state === 'closed') return era
    const leftMs = since + openMs - clock.monotonic()
    // Probes that never come back must not keep it half open for ever: after `openMs` others may try.
    if (leftMs <= 0 && (state === 'open' || probing >= probes)) enter('half_open')
    if (state !== 'half_open' || probing >= probes) {
      throw resilienceErrors.error('resilience.circuit_open', {
        meta: { system: name },
        retryAfterMs: state === 'open' ? Math.max(leftMs, 1000) : 1000,
      })
    }
    probing++
    return era
  }

  const record = (failed: boolean): void => {
    inARow = failed ? inARow + 1 : 0
    window?.add(failed)
    if (state === 'half_open') {
      if (failed) enter('open')
      else if (++healed >= successes) enter('closed')
    } else if (failed && (inARow >= failures || window?.exceeded() === true)) enter('open')
  }

  return {
    name,
    get state() {
      return state === 'open' && clock.monotonic() >= since + openMs ? 'half_open' : state
    },
    async run(work, signal) {
      signal?.throwIfAborted()
      const admitted = admit()
      const began = clock.monotonic()
      let verdict: 'well' | 'failed' | 'unknown' = 'unknown'
      try {
        const result = await work()
        verdict = clock.monotonic() - began > slowMs ? 'failed' : 'well'
        return result
      } catch (error) {
        if (!isAbort(error, signal)) verdict = isFailure(error) ? 'failed' : 'well'
        throw error
      } finally {
        if (admitted === era) {
          if (state === 'half_open') probing--
          if (verdict !== 'unknown') record(verdict === 'failed')
        }
      }
    },
  }
}

/** Whether `error` speaks of an outage: a refusal with a 4xx comes from a system that is well. */
export function isOutage(error: unknown): boolean {
  return !(error instanceof ForgeError) || error.status >= 500
}

export interface BreakerGroup {
  /** The breaker of `key`, made when there is none. */
  get(key: string): Breaker
  readonly size: number
}

/** One breaker for each key (a host, a tenant); of more than `max` (default 1000) one that was not used lately is forgotten. */
export function createBreakerGroup(settings: Omit<BreakerSettings, 'name'>, max = 1000): BreakerGroup {
  const breakers = new BoundedMap<Breaker>({ entries: max })
  return {
    get(key) {
      const known = breakers.get(key)
      if (known !== undefined) return known
      const breaker = createBreaker({ ...settings, name: key })
      breakers.set(key, breaker)
      return breaker
    },
    get size() {
      return breakers.size
    },
  }
}
