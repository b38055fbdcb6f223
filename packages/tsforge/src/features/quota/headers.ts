import type { QuotaStanding } from './quota.ts'
import { policyName } from './standing.ts'

const seconds = { minute: 60, hour: 3600, day: 86_400 } as const

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
    if (limit === null || soft) continue
    const name = `"${policyName(quota, standing)}"`
    const length = per === 'month' ? (resetsAt.getTime() - startsAt.getTime()) / 1000 : seconds[per]
    const wait = waits[n]
    const ms = wait !== undefined && Number.isFinite(wait) ? wait : resetsAt.getTime() - now
    policies.push(`${name};q=${limit};w=${length}`)
    states.push(`${name};r=${remaining ?? 0};t=${Math.max(1, Math.ceil(ms / 1000))}`)
  }
  return policies.length === 0 ? undefined : { policy: policies.join(', '), state: states.join(', ') }
}
