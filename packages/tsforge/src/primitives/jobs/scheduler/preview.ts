import { neverMs, ticksOf } from './timing.ts'
import type { Timing } from './timing.ts'

/** One run that lies ahead. */
export interface PlannedRun {
  readonly at: Date
  /** The same moment on the wall clock of the zone, e.g. `2026-03-29T03:00:00+02:00`. */
  readonly local: string
  readonly timeZone: string
}

export interface PreviewOptions {
  /** 1 to 1000, default 10. */
  readonly count?: number
  /** Runs after this moment. Default: now. */
  readonly from?: Date
}

/** The next runs of a timing, those of a change of the clock included. Throws `jobs.schedule_invalid`. */
export function previewRuns(timing: Timing, fromMs: number, count: number = 10): readonly PlannedRun[] {
  const ticks = ticksOf(timing)
  const runs: PlannedRun[] = []
  const most = Math.min(Math.max(1, Math.trunc(count) || 1), 1000)
  for (let at = ticks.after(fromMs); at < neverMs && runs.length < most; at = ticks.after(at))
    runs.push({ at: new Date(at), local: localText(at, timing.timeZone), timeZone: timing.timeZone })
  return runs
}

function localText(ms: number, timeZone: string): string {
  const parts = new Intl.DateTimeFormat('en-US-u-ca-iso8601-nu-latn', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    timeZoneName: 'longOffset',
  }).formatToParts(ms)
  const part = (type: Intl.DateTimeFormatPartTypes): string => parts.find((each) => each.type === type)?.value ?? ''
  const offset = part('timeZoneName').slice('GMT'.length)
  return `${part('year')}-${part('month')}-${part('day')}T${part('hour')}:${part('minute')}:${part('second')}${offset || '+00:00'}`
}
