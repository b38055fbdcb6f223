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

/** Whether the window, once `taken` is gone, refuses `cost`. */
export function refuses(raw: RawStanding, taken: number, cost: number): boolean {
  return raw.hard && raw.allowed !== null && raw.used + raw.carried + taken + cost > raw.allowed
}

/**
 * Milliseconds from `now` until the window would let `cost` pass if nobody else takes; `undefined` when it never will.
 * Sliding: what was used before counts less with every moment, first that of the last period, then that of this one.
 */
export function waitOf(raw: RawStanding, taken: number, cost: number, now: number): number | undefined {
  if (raw.allowed === null) return 0
  const room = raw.allowed - cost
  if (room < 0) return undefined
  const starts = Date.parse(raw.starts_at)
  const ends = Date.parse(raw.ends_at)
  if (!slides(raw.per)) return Math.max(1, ends - now)
  const length = ends - starts
  const current = raw.used + taken
  const at =
    current <= room ? ends - ((room - current) / raw.previous) * length : ends + length - (room / current) * length
  return Math.max(1, Math.ceil(at - now))
}
