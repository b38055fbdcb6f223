import type { Clock, Timer } from './clock.ts'
import type { Log } from './log.ts'

export interface PeriodicSettings {
  readonly clock: Clock
  readonly log: Log
  /** Milliseconds from the end of one run to the begin of the next. */
  readonly everyMs: number
  /** Logged, as a warning, with what a run throws. */
  readonly failure: string
}

/**
 * Runs `work` again and again, one run at a time; the first after `everyMs`. The result stops it, after the run under way,
 * which its signal tells to end at the next good place.
 */
export function startPeriodic(
  work: (signal: AbortSignal) => Promise<unknown>,
  { clock, log, everyMs, failure }: PeriodicSettings,
): () => Promise<void> {
  const stop = new AbortController()
  let running: Promise<unknown> | undefined
  let timer: Timer | undefined
  const wait = (): void => {
    timer = clock.after(everyMs, () => {
      running = work(stop.signal)
        .catch((error: unknown) => log.warn({ err: error }, failure))
        .finally(() => timer !== undefined && wait())
    })
  }
  wait()
  return async () => {
    timer?.cancel()
    timer = undefined
    stop.abort()
    await running
  }
}
