import { checkZone, invalid, parseCron } from './cron.ts'

/** When a schedule runs. Text and numbers only: this is what the table holds. */
export type Timing = CronTiming | IntervalTiming

export interface CronTiming {
  readonly cron: string
  /** IANA name. */
  readonly timeZone: string
}

export interface IntervalTiming {
  readonly everyMs: number
  /** A moment that is a tick; all others lie a multiple of `everyMs` after it. Nothing runs before it. */
  readonly anchorMs: number
  /** For people who look at it. */
  readonly timeZone: string
}

/** The ticks of a timing, in milliseconds since the epoch. */
export interface Ticks {
  /** The first one later than `ms`; `neverMs` when the calendar ends. */
  after(ms: number): number
  /** Those from `fromMs` to `toMs`, both included, oldest first; of more than `most` the latest. */
  last(fromMs: number, toMs: number, most: number): readonly number[]
}

export const shortestMs = 1000
export const longestMs: number = 366 * 86_400_000

/** Later than any tick. */
export const neverMs: number = Date.UTC(9999, 0)

/** Throws `jobs.schedule_invalid`. */
export function ticksOf(timing: Timing): Ticks {
  return 'cron' in timing ? cronTicks(timing) : intervalTicks(timing)
}

function cronTicks({ cron: expression, timeZone }: CronTiming): Ticks {
  const cron = parseCron(expression, timeZone)
  return {
    after: (ms) => cron.nextRun(new Date(ms))?.getTime() ?? neverMs,
    last(fromMs, toMs, most) {
      const found: number[] = []
      // Ticks are whole seconds, and those before the second that follows are those up to this one.
      let before = Math.floor(toMs / 1000) * 1000 + 1000
      while (found.length < most) {
        const at = cron.previousRuns(1, new Date(before))[0]?.getTime()
        if (at === undefined || at < fromMs) break
        if (at <= toMs) found.push(at)
        before = at
      }
      return found.toReversed()
    },
  }
}

function intervalTicks({ everyMs, anchorMs, timeZone }: IntervalTiming): Ticks {
  checkZone(timeZone)
  if (!Number.isInteger(everyMs) || everyMs < shortestMs || everyMs > longestMs)
    throw invalid('every', 'it is one second to 366 days, in whole milliseconds')
  if (!Number.isInteger(anchorMs) || Math.abs(anchorMs) > farthestMs) throw invalid('anchor', 'it is a date')
  return {
    after: (ms) => (ms < anchorMs ? anchorMs : anchorMs + (Math.floor((ms - anchorMs) / everyMs) + 1) * everyMs),
    last(fromMs, toMs, most) {
      const end = Math.floor((toMs - anchorMs) / everyMs)
      const start = Math.max(0, Math.ceil((fromMs - anchorMs) / everyMs), end - most + 1)
      return Array.from({ length: Math.max(0, end - start + 1) }, (_, i) => anchorMs + (start + i) * everyMs)
    },
  }
}

const farthestMs = Date.UTC(9000, 0)
