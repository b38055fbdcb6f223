import type { Clock, Timer } from '../../../kernel/clock.ts'
import { silentLog } from '../../../kernel/log.ts'
import { createSecrets } from '../../../kernel/secrets.ts'
import type { Secrets } from '../../../kernel/secrets.ts'
import type { Db } from '../../db/db.ts'
import { createKeys } from '../create-keys.ts'
import type { RunningKeys } from '../create-keys.ts'
import type { KeysOptions } from '../options.ts'

/** A clock that stands still until it is told. */
export interface ManualClock extends Clock {
  /** Moves on; timers that are due fire once each period. */
  advance(ms: number): void
}

export function manualClock(start: number = Date.UTC(2030, 0, 1)): ManualClock {
  let now = start
  const timers = new Set<{ at: number; every: number | undefined; fn: () => void }>()
  const add = (ms: number, every: number | undefined, fn: () => void): Timer => {
    const timer = { at: now + ms, every, fn }
    timers.add(timer)
    return { cancel: () => void timers.delete(timer) }
  }
  return {
    now: () => now,
    monotonic: () => now - start,
    sleep: (ms) => new Promise((resolve) => add(ms, undefined, resolve)),
    after: (ms, fn) => add(ms, undefined, fn),
    every: (ms, fn) => add(ms, ms, fn),
    advance: (ms) => {
      now += ms
      for (const timer of [...timers]) {
        if (timer.at > now) continue
        if (timer.every === undefined) timers.delete(timer)
        else timer.at = now + timer.every
        timer.fn()
      }
    },
  }
}

export const secrets: Secrets = createSecrets({ current: 'correct-horse-battery-staple-of-the-tests' })

export const options: KeysOptions = {
  issuer: 'https://api.test',
  audience: 'api',
  algorithm: 'EdDSA',
  rotateEveryMs: 30 * 86_400_000,
  maxTtlMs: 3_600_000,
  leewayMs: 5_000,
  refreshMs: 30_000,
  cacheEntries: 100,
  cacheBytes: 1_000_000,
}

export function replica(db: Db, clock: Clock, overrides: Partial<KeysOptions> = {}): RunningKeys {
  return createKeys({ db, clock, log: silentLog, secrets, options: { ...options, ...overrides } })
}
