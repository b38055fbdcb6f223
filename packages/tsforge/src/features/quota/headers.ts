import type { QuotaStanding } from './quota.ts'

const seconds = { minute: 60, hour: 3600, day: 86_400 } as const

/** `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers), an item for each limit that is hard and finite. */
export interface QuotaHeaders {
  readonly policy: string
  readonly state: string
}

/** Names are `a-z 0-9 . _ -` and need no escapes. `undefined` when nothing bounds the caller. */
export function headersOf(quota: string, standings: readonly QuotaStanding[], now: number): QuotaHeaders | undefined {
  const policies: string[] = []
  const states: string[] = []
  for (const { per, each, limit, remaining, soft, startsAt, resetsAt } of standings) {
    if (limit === null || soft) continue
    const name = `"${quota}-${each === 'tenant' ? per : `key-${per}`}"`
    const length = per === 'month' ? (resetsAt.getTime() - startsAt.getTime()) / 1000 : seconds[per]
    policies.push(`${name};q=${limit};w=${length}`)
    states.push(`${name};r=${remaining ?? 0};t=${Math.max(0, Math.ceil((resetsAt.getTime() - now) / 1000))}`)
  }
  return policies.length === 0 ? undefined : { policy: policies.join(', '), state: states.join(', ') }
}
