import { Cron } from 'croner'
import { jobsErrors } from '../errors.ts'

/** Marks, digits, names, and what L W # ? + and nicknames need. Keeps ISO dates out, which the parser would take for one run. */
const pattern = /^[A-Za-z0-9*,/\-#?+@ ]{1,200}$/
const zonePattern = /^[A-Za-z0-9+\-_/:]{1,64}$/

/**
 * Reads a cron expression: five fields (minute hour day month weekday) or six (second first), names, lists, ranges, steps,
 * `L` `W` `LW` `#`, `@hourly` to `@yearly`. Where both the day and the weekday are restricted, either is enough, as in Vixie
 * cron; a `+` before the weekday demands both.
 *
 * What the wall clock does twice or not at all: an expression whose seconds, minutes and hours are plain numbers, lists
 * or ranges means moments of the day. One that falls into a gap runs when the gap is over, and one that comes twice runs
 * at the first. With `*` or a step in them it means a rhythm: nothing runs in a gap, and the repeated hour runs again.
 *
 * Throws `jobs.schedule_invalid`.
 */
export function parseCron(expression: string, timeZone: string): Cron {
  checkZone(timeZone)
  const must = (right: boolean, reason: string, cause?: unknown): void => {
    if (!right) throw invalid('cron', reason, cause)
  }
  must(
    typeof expression === 'string' && pattern.test(expression),
    'it is five or six fields, of at most 200 characters',
  )
  let cron: Cron
  try {
    cron = new Cron(expression, { timezone: timeZone, mode: '5-or-6-parts', fixedTimeRule: 'no-wildcard' })
  } catch (cause) {
    throw invalid('cron', reasonOf(cause), cause)
  }
  // It looks as far as the year 9999.
  must(cron.nextRun(new Date(epochMs)) !== null, 'no day of the calendar fits')
  return cron
}

const epochMs = Date.UTC(2020, 0)

/** Throws `jobs.schedule_invalid`. */
export function checkZone(timeZone: string): void {
  try {
    if (typeof timeZone !== 'string' || !zonePattern.test(timeZone)) throw new RangeError(timeZone)
    new Intl.DateTimeFormat('en', { timeZone })
  } catch (cause) {
    throw invalid('timeZone', 'it is a name such as "UTC" or "Europe/Berlin"', cause)
  }
}

export function invalid(option: string, reason: string, cause?: unknown): Error {
  return jobsErrors.error('jobs.schedule_invalid', { meta: { option, reason }, cause })
}

function reasonOf(cause: unknown): string {
  const text = cause instanceof Error ? cause.message : ''
  return text.replace(/^Cron\w*: /, '').slice(0, 200)
}
