import type { Decision, SlotRule } from './driver.ts'

/** Nobody knows when a holder will be done; callers may ask again after so long. */
const askAgainMs = 1000

/** The answer to who asked for a place, with `held` places taken and the last of their leases ending in `resetMs`. */
export function placeDecision(rule: SlotRule, allowed: boolean, held: number, resetMs: number): Decision {
  return {
    allowed,
    limit: rule.limit,
    remaining: Math.max(0, rule.limit - held),
    resetMs: Math.max(0, Math.ceil(resetMs)),
    retryAfterMs: allowed ? 0 : askAgainMs,
    lost: false,
  }
}
