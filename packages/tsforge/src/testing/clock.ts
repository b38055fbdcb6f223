import type { Clock, Timer } from '../kernel/clock.ts'

/** A clock that stands still until the test moves it. */
export interface FakeClock extends Clock {
  /**
   * Moves time by `ms`, running each timer and sleep at its moment and in order, and letting the work that
   * they wake (promises, immediates) settle before time goes on. Rejects with what a timer throws.
   */
  advance(ms: number): Promise<void>
  /**
   * Lets time pass, `stepMs` (10) by `stepMs`, until `promise` settles, and gives what it gives: for what waits for time
   * and for real parts (a database, a socket) in turn. Goes ten times as fast as a clock, so that those parts keep up.
   */
  advanceUntil<T>(promise: Promise<T>, stepMs?: number): Promise<T>
  /** Makes the wall clock jump to `now` as an administrator would; timers and `monotonic` do not notice. */
  jump(now: number): void
  /** Timers and sleeps that wait. A test that ends with some has found a leak. */
  readonly pending: number
}

interface Waiting {
  at: number
  readonly fn: () => void
  /** Distance to the next run; `undefined` for once. */
  readonly everyMs: number | undefined
}

/** All promises that can go on without time have done so afterwards. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise<void>((resolve) => setImmediate(resolve))
}

/** A fake clock that says `startMs` (default: the first of January 2026, UTC). */
export function createFakeClock(startMs: number = Date.UTC(2026, 0, 1)): FakeClock {
  let elapsed = 0
  let offset = startMs
  // In the order in which they were made, which is the order of those due at the same moment.
  const waiting = new Set<Waiting>()

  const wait = (ms: number, fn: () => void, everyMs?: number): Timer => {
    const entry: Waiting = { at: elapsed + Math.max(0, ms), fn, everyMs }
    waiting.add(entry)
    return { cancel: () => void waiting.delete(entry) }
  }
  const nextDue = (until: number): Waiting | undefined => {
    let next: Waiting | undefined
    for (const entry of waiting) if (entry.at <= until && (next === undefined || entry.at < next.at)) next = entry
    return next
  }

  return {
    now: () => offset + elapsed,
    monotonic: () => elapsed,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted === true) return void reject(signal.reason as Error)
        const onAbort = (): void => {
          timer.cancel()
          reject(signal?.reason as Error)
        }
        const timer = wait(ms, () => {
          signal?.removeEventListener('abort', onAbort)
          resolve()
        })
        signal?.addEventListener('abort', onAbort, { once: true })
      }),
    after: (ms, fn) => wait(ms, fn),
    every: (ms, fn) => wait(ms, fn, Math.max(1, ms)),
    async advance(ms) {
      const until = elapsed + ms
      await settle()
      for (let entry = nextDue(until); entry !== undefined; entry = nextDue(until)) {
        elapsed = Math.max(elapsed, entry.at)
        waiting.delete(entry)
        if (entry.everyMs !== undefined) {
          entry.at += entry.everyMs
          waiting.add(entry)
        }
        entry.fn()
        await settle()
      }
      elapsed = Math.max(elapsed, until)
      await settle()
    },
    async advanceUntil(promise, stepMs = 10) {
      let settled = false
      const end = (): void => void (settled = true)
      promise.then(end, end)
      while (!settled) {
        await new Promise((resolve) => setTimeout(resolve, stepMs / 10))
        if (!settled) await this.advance(stepMs)
      }
      return promise
    },
    jump(now) {
      offset = now - elapsed
    },
    get pending() {
      return waiting.size
    },
  }
}
