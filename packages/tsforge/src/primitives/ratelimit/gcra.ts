import type { Decision, Lease, RateRule } from './driver.ts'

/**
 * The generic cell rate algorithm (ITU-T I.371, the leaky bucket as a meter): a key is a single moment, the one at which
 * all that it has spent will have come back. Being `backlogUs` ahead of now means that much is spent.
 */
export function gcraDecision(rule: RateRule, allowed: boolean, cost: number, backlogUs: number): Decision {
  const roomUs = rule.depthUs - backlogUs
  return {
    allowed,
    limit: rule.burst,
    remaining: roomUs > 0 ? Math.floor(roomUs / rule.intervalUs) : 0,
    resetMs: Math.ceil(backlogUs / 1000),
    retryAfterMs: allowed ? 0 : waitMs(cost * rule.intervalUs - roomUs),
    lost: false,
  }
}

/** What a lease of `granted` tokens says, which left the key `backlogUs` ahead. */
export function gcraLease(rule: RateRule, granted: number, backlogUs: number, stamp: string): Lease {
  const roomUs = rule.depthUs - backlogUs
  return {
    granted,
    remaining: roomUs > 0 ? Math.floor(roomUs / rule.intervalUs) : 0,
    resetMs: Math.ceil(backlogUs / 1000),
    retryAfterMs: roomUs >= rule.intervalUs ? 0 : waitMs(rule.intervalUs - roomUs),
    stamp,
  }
}

/** Whole milliseconds, never 0: who waits for so long succeeds if nobody else comes. */
function waitMs(us: number): number {
  return Math.max(1, Math.ceil(us / 1000))
}

/** How many tokens a lease gets of a key with `room` tokens left (see `LeasingDriver.lease`). */
export function leaseSize(rule: RateRule, room: number, need: number, want: number): number {
  const spare = Math.floor((room - rule.burst / 5) / 8)
  return Math.max(0, Math.min(room, Math.max(need, Math.min(want, spare))))
}
