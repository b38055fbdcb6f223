/** A timer that can be cancelled. */
export interface Timer {
  cancel(): void
}

/** The only source of time. Injected everywhere, so that tests decide what time it is. */
export interface Clock {
  /** Milliseconds since the epoch (wall clock; may jump). */
  now(): number
  /** Milliseconds that only grow, for measuring durations. */
  monotonic(): number
  /** Resolves after `ms`; rejects with the signal's reason when aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
  /** Calls `fn` once after `ms`. Timers never keep the process alive. */
  after(ms: number, fn: () => void): Timer
  /** Calls `fn` every `ms` until cancelled. Timers never keep the process alive. */
  every(ms: number, fn: () => void): Timer
}

/** The longest wait of a Node timer; a longer one would fire at once. */
const longestMs = 2 ** 31 - 1

function arm(ms: number, fn: () => void, hold: boolean): Timer {
  let handle: NodeJS.Timeout
  const wait = (left: number): void => {
    handle = left > longestMs ? setTimeout(wait, longestMs, left - longestMs) : setTimeout(fn, left)
    if (!hold) handle.unref()
  }
  wait(ms)
  return { cancel: () => clearTimeout(handle) }
}

/** The machine's own clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted === true) return void reject(signal.reason as Error)
      const onAbort = (): void => {
        timer.cancel()
        reject(signal?.reason as Error)
      }
      const done = (): void => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      }
      // A pending sleep is awaited work, so (unlike after/every) it does hold the process.
      const timer = arm(ms, done, true)
      signal?.addEventListener('abort', onAbort, { once: true })
    }),
  after: (ms, fn) => arm(ms, fn, false),
  every: (ms, fn) => {
    const handle = setInterval(fn, Math.min(ms, longestMs)).unref()
    return { cancel: () => clearInterval(handle) }
  },
}
