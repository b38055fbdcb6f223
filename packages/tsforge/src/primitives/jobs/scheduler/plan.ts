import type { CatchUp } from './schedule.ts'
import { ticksOf } from './timing.ts'
import type { Timing } from './timing.ts'

/** What is to be done about a schedule whose time has come. */
export interface Plan {
  /** Ticks to run, oldest first. */
  readonly fire: readonly number[]
  /** The first tick that is not due yet. */
  readonly nextMs: number
  /** Ticks that will never run lie from here on, before the first of `fire` (or now). */
  readonly skippedFromMs: number | undefined
}

export interface Due {
  readonly timing: Timing
  readonly catchUp: CatchUp
  readonly catchUpLimit: number
  /** The first tick that has not been dealt with. */
  readonly nextMs: number
}

/** Ticks found within a minute are late, not missed: a restart or a change of leader is nobody's outage. */
export const lateMs = 60_000
/** All that can lie within it, since none are closer than a second. */
const mostLate = lateMs / 1000 + 1

/** However long nothing has looked, the answer is bounded and takes no longer. Throws `jobs.schedule_invalid`. */
export function planTicks({ timing, catchUp, catchUpLimit, nextMs: fromMs }: Due, nowMs: number): Plan {
  if (fromMs > nowMs) return { fire: [], nextMs: fromMs, skippedFromMs: undefined }
  const ticks = ticksOf(timing)
  let fire = ticks.last(Math.max(fromMs, nowMs - lateMs), nowMs, mostLate)
  if (catchUp === 'all') fire = ticks.last(fromMs, nowMs, Math.max(catchUpLimit, fire.length))
  else if (catchUp === 'one' && fire.length === 0) fire = ticks.last(fromMs, nowMs, 1)
  return { fire, nextMs: ticks.after(nowMs), skippedFromMs: fire[0] === fromMs ? undefined : fromMs }
}
