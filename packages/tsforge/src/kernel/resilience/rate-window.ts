import type { Clock } from '../clock.ts'

export interface RateSettings {
  readonly share?: number
  readonly minimum?: number
  readonly windowMs?: number
}

export interface RateWindow {
  add(failed: boolean): void
  /** Whether the share of failures among enough calls is reached. */
  exceeded(): boolean
  reset(): void
}

const slots = 10

/** Counts of the last `windowMs`, in ten slots that are used again and again. */
export function createRateWindow(
  clock: Clock,
  { share = 0.5, minimum = 20, windowMs = 10_000 }: RateSettings,
): RateWindow {
  const totals = Array.from({ length: slots }, () => 0)
  const failures = Array.from({ length: slots }, () => 0)
  let turn = 0

  const advance = (): void => {
    const now = Math.floor((clock.monotonic() * slots) / windowMs)
    for (let passed = Math.min(now - turn, slots); passed > 0; passed--) {
      totals[(now - passed + 1) % slots] = 0
      failures[(now - passed + 1) % slots] = 0
    }
    turn = now
  }

  return {
    add(failed) {
      advance()
      totals[turn % slots]!++
      if (failed) failures[turn % slots]!++
    },
    exceeded() {
      advance()
      const total = totals.reduce((sum, count) => sum + count, 0)
      return total >= minimum && failures.reduce((sum, count) => sum + count, 0) >= share * total
    },
    reset() {
      totals.fill(0)
      failures.fill(0)
    },
  }
}
