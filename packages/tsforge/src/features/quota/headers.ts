import { ratePolicy, rateState } from '../../primitives/ratelimit/index.ts'
import type { QuotaStanding } from './quota.ts'
import { policyName } from './standing.ts'

const lengthMs = { minute: 60_000, hour: 3_600_000, day: 86_400_000 } as const

/** `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers), an item for each limit that is hard and finite. */
export interface QuotaHeaders {
  readonly policy: string
  readonly state: string
}

/**
 * `undefined` when nothing bounds the caller. `waits`: of limits that refuse, milliseconds until they would not: the time
 * that their state holds, so that Retry-After is never earlier.
 */
export function headersOf(
  quota: string,
  standings: readonly QuotaStanding[],
  now: number,
  waits: readonly (number | undefined)[] = [],
): QuotaHeaders | undefined {
  const policies: string[] = []
  const states: string[] = []
  for (const [n, standing] of standings.entries()) {
    const { per, limit, remaining, soft, startsAt, resetsAt } = standing
    if (limit === null || remaining === null || soft) continue
    const name = policyName(quota, standing)
    const resetMs = resetsAt.getTime() - now
    const wait = waits[n]
    const retryAfterMs = wait === undefined || !Number.isFinite(wait) ? resetMs : wait
    policies.push(ratePolicy(name, limit, per === 'month' ? resetsAt.getTime() - startsAt.getTime() : lengthMs[per]))
    states.push(rateState(name, { allowed: wait === undefined, remaining, resetMs, retryAfterMs }))
  }
  return policies.length === 0 ? undefined : { policy: policies.join(', '), state: states.join(', ') }
}
