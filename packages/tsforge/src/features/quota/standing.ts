import type { Per } from './plans.ts'
import type { QuotaStanding } from './quota.ts'

/** A window as `forge_quota_standing` tells it. */
export interface RawStanding {
  readonly each: 'tenant' | 'api_key'
  readonly per: Per
  readonly allowed: number | null
  readonly hard: boolean
  readonly starts_at: string
  readonly ends_at: string
  /** Used and reserved in this period. */
  readonly used: number
  /** The same of the period before, and the part of it that still counts. Sliding windows only. */
  readonly previous: number
  readonly carried: number
}

/** Where the window stands once `more` units have been taken. */
export function standingOf(raw: RawStanding, more: number = 0): QuotaStanding {
  const used = raw.used + raw.carried + more
  const starts = Date.parse(raw.starts_at)
  const ends = Date.parse(raw.ends_at)
  return {
    per: raw.per,
    each: raw.each,
    limit: raw.allowed,
    soft: !raw.hard,
    used,
    remaining: raw.allowed === null ? null : Math.max(0, raw.allowed - used),
    startsAt: new Date(starts),
    resetsAt: new Date(slides(raw.per) && raw.used + more > 0 ? ends + (ends - starts) : ends),
  }
}

export function slides(per: Per): boolean {
  return per === 'minute' || per === 'hour'
}

/** The name of a limit in headers; of characters that need no escape there. */
export function policyName(quota: string, { per, each }: Pick<QuotaStanding, 'per' | 'each'>): string {
  return `${quota}-${each === 'tenant' ? per : `key-${per}`}`
}

/**
 * `undefined` when the window, once `taken` is gone, would let `cost` pass. Else milliseconds from `now` until it would if
 * nobody else takes; infinite when the limit itself is too small. Sliding: what was used before counts less with every
 * moment, first that of the last period, then that of this one.
 */
export function waitOf(raw: RawStanding, taken: number, cost: number, now: number): number | undefined {
  const current = raw.used + taken
  if (!raw.hard || raw.allowed === null || current + raw.carried + cost <= raw.allowed) return undefined
  const room = raw.allowed - cost
  if (room < 0) return Number.POSITIVE_INFINITY
  const starts = Date.parse(raw.starts_at)
  const ends = Date.parse(raw.ends_at)
  if (!slides(raw.per)) return Math.max(1, ends - now)
  const length = ends - starts
  const at =
    current <= room ? ends - ((room - current) / raw.previous) * length : ends + length - (room / current) * length
  return Math.max(1, Math.ceil(at - now))
}
