import type { Clock } from '../clock.ts'
import { resilienceErrors } from './errors.ts'

export interface BulkheadSettings {
  readonly clock: Clock
  /** Works at the same time. */
  readonly concurrent: number
  /** Works that may wait for a place, default 0. */
  readonly queue?: number
  /** Longest wait for a place, default 1 s. Also what refused callers are told to wait. */
  readonly waitMs?: number
}

/** Keeps one kind of work from taking everything. */
export interface Bulkhead {
  readonly active: number
  readonly waiting: number
  /**
   * Runs `work` as soon as there is a place, first come first served.
   * @throws `resilience.overloaded` at once when the queue is full, or when no place came free in time.
   * @throws the signal's reason when the caller gives up waiting.
   */
  run<T>(work: () => T | Promise<T>, signal?: AbortSignal): Promise<T>
}

/** A semaphore of `concurrent` places with a bounded queue. */
export function createBulkhead({ clock, concurrent, queue = 0, waitMs = 1000 }: BulkheadSettings): Bulkhead {
  if (!Number.isInteger(concurrent) || concurrent < 1) throw new RangeError('a bulkhead has at least one place')
  let active = 0
  const waiters = new Set<() => void>()
  const overloaded = (): Error => resilienceErrors.error('resilience.overloaded', { retryAfterMs: waitMs })

  const place = (signal: AbortSignal | undefined): Promise<void> => {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const leave = (): void => {
      waiters.delete(enter)
      timer.cancel()
      signal?.removeEventListener('abort', onAbort)
    }
    const enter = (): void => {
      leave()
      resolve()
    }
    const onAbort = (): void => {
      leave()
      reject(signal?.reason as Error)
    }
    const timer = clock.after(waitMs, () => {
      leave()
      reject(overloaded())
    })
    waiters.add(enter)
    signal?.addEventListener('abort', onAbort, { once: true })
    return promise
  }

  return {
    get active() {
      return active
    },
    get waiting() {
      return waiters.size
    },
    async run(work, signal) {
      signal?.throwIfAborted()
      if (active < concurrent) active++
      else if (waiters.size >= queue) throw overloaded()
      // The place is handed over by the one who leaves, so `active` stays as it is.
      else await place(signal)
      try {
        return await work()
      } finally {
        const next = waiters.values().next().value
        if (next === undefined) active--
        else next()
      }
    },
  }
}
