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

/** Runs `work` again and again, one run at a time; the first after `everyMs`. The result stops it, after the run under way. */
export function startPeriodic(
  work: () => Promise<unknown>,
  { clock, log, everyMs, failure }: PeriodicSettings,
): () => Promise<void> {
  let running: Promise<unknown> | undefined
  let timer: Timer | undefined
  const wait = (): void => {
    timer = clock.after(everyMs, () => {
      running = work()
        .catch((error: unknown) => log.warn({ err: error }, failure))
        .finally(() => timer !== undefined && wait())
    })
  }
  wait()
  return async () => {
    timer?.cancel()
    timer = undefined
    await running
  }
}
