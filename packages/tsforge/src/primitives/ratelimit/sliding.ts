import type { Decision, RateRule } from './driver.ts'

/** What a sliding counter knows of a key: what was spent in this window and in the one before. */
export interface Windows {
  readonly spent: number
  readonly before: number
  /** Since this window began. */
  readonly elapsedMs: number
}

/**
 * What counts as spent: this window, and of the one before the part that a window ending now still covers, as if it had
 * been spent evenly.
 */
export function slidingWeight(rule: RateRule, { spent, before, elapsedMs }: Windows): number {
  return spent + before * (1 - elapsedMs / rule.windowMs)
}

/** The answer to a call after which the windows are `windows`. */
export function slidingDecision(rule: RateRule, allowed: boolean, cost: number, windows: Windows): Decision {
  const { spent, before, elapsedMs } = windows
  const restMs = rule.windowMs - elapsedMs
  return {
    allowed,
    limit: rule.limit,
    remaining: Math.max(0, Math.floor(rule.limit - slidingWeight(rule, windows))),
    resetMs: spent > 0 ? restMs + rule.windowMs : before > 0 ? restMs : 0,
    retryAfterMs: allowed ? 0 : Math.max(1, Math.ceil(waitMs(rule, cost, windows))),
    lost: false,
  }
}

/** Until `cost` fits, if nobody else comes. */
function waitMs(rule: RateRule, cost: number, { spent, before, elapsedMs }: Windows): number {
  const free = rule.limit - cost - spent
  if (free >= 0) return rule.windowMs * (1 - free / before) - elapsedMs
  // In the next window, where what is spent now fades in its turn.
  return rule.windowMs - elapsedMs + rule.windowMs * Math.max(0, 1 - (rule.limit - cost) / spent)
}

/** `windows` as they are `elapsedMs` after the start of the one that they speak of. */
export function slide(rule: RateRule, { spent, before, elapsedMs }: Windows): Windows {
  const passed = Math.floor(elapsedMs / rule.windowMs)
  if (passed <= 0) return { spent, before, elapsedMs }
  return { spent: 0, before: passed === 1 ? spent : 0, elapsedMs: elapsedMs - passed * rule.windowMs }
}
