import { parseDuration } from '../../kernel/durations.ts'
import type { RateRule, SlotRule } from './driver.ts'
import { ratelimitErrors } from './errors.ts'
import type { ConcurrencySpec, LimitSpec } from './ratelimit.ts'

const namePattern = /^[a-z][a-z0-9_.-]{0,63}$/
const maxLimit = 1_000_000_000
const maxWindowMs = 366 * 86_400_000
const maxPlaces = 100_000
/** Places are renewed three times in a lease, which must not be a burden. */
const minLeaseMs = 1000

/** Checks and completes a limit. @throws `ratelimit.misdeclared`. */
export function rateRule(spec: LimitSpec): RateRule {
  const { name, limit, algorithm = 'gcra', burst = limit } = spec
  checkName(name)
  if (!isWhole(limit, 1, maxLimit)) throw misdeclared(name, `limit must be a whole number from 1 to ${maxLimit}`)
  const windowMs = durationOf(name, 'window', spec.window)
  if (!isWhole(windowMs, 1, maxWindowMs)) throw misdeclared(name, 'window must be from 1 ms to 366 days, in whole ms')
  if (algorithm !== 'gcra' && algorithm !== 'sliding') throw misdeclared(name, 'algorithm must be gcra or sliding')
  if (!isWhole(burst, 1, limit)) throw misdeclared(name, 'burst must be a whole number from 1 to the limit')
  if (algorithm === 'sliding' && burst !== limit) throw misdeclared(name, 'burst is a word of gcra; sliding has none')
  if (limit > windowMs * 1000) throw misdeclared(name, 'more than one per microsecond cannot be counted')
  const intervalUs = Math.ceil((windowMs * 1000 * 4) / limit) / 4
  return { name, algorithm, limit, windowMs, burst, intervalUs, depthUs: intervalUs * burst }
}

/** Checks and completes a limit of calls at the same time. @throws `ratelimit.misdeclared`. */
export function slotRule({ name, limit, lease = '30s' }: ConcurrencySpec): SlotRule {
  checkName(name)
  if (!isWhole(limit, 1, maxPlaces)) throw misdeclared(name, `limit must be a whole number from 1 to ${maxPlaces}`)
  const leaseMs = durationOf(name, 'lease', lease)
  if (!isWhole(leaseMs, minLeaseMs, maxWindowMs)) throw misdeclared(name, 'lease must be from 1 second to 366 days')
  return { name, limit, leaseMs }
}

/** The part of `rule` that one of `replicas` processes may spend by itself. */
export function shareOf(rule: RateRule, replicas: number): RateRule {
  if (replicas <= 1) return rule
  const limit = Math.max(1, Math.floor(rule.limit / replicas))
  const burst = Math.max(1, Math.min(limit, Math.floor(rule.burst / replicas)))
  return rateRule({
    ...rule,
    limit,
    window: rule.windowMs,
    ...(rule.algorithm === 'gcra' ? { burst } : { burst: limit }),
  })
}

export function misdeclared(name: string, fault: string): Error {
  return ratelimitErrors.error('ratelimit.misdeclared', { meta: { name, fault } })
}

function checkName(name: string): void {
  if (!namePattern.test(name)) throw misdeclared(name, `the name must match ${namePattern.source}`)
}

function durationOf(name: string, word: string, value: string | number): number {
  try {
    return parseDuration(value)
  } catch (error) {
    throw misdeclared(name, `${word} ${(error as Error).message}`)
  }
}

function isWhole(value: number, least: number, most: number): boolean {
  return Number.isInteger(value) && value >= least && value <= most
}
