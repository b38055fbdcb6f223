import { systemClock } from '../../../kernel/clock.ts'
import type { Clock } from '../../../kernel/clock.ts'
import type { Claim, IdempotencyDriver, NewClaim } from '../driver.ts'
import { idempotencyErrors } from '../errors.ts'

export interface MemoryIdempotencySettings {
  readonly clock?: Clock
  /** Most keys remembered. When all of them are in use, new ones are refused: dropping one would break its promise. Default 100,000. */
  readonly maxKeys?: number
}

interface Entry {
  token: string
  request: string
  answer: string | undefined
  leaseUntil: number
  expiresAt: number
}

/** Keys in this process's memory: for development, tests and apps of one process that may forget at a restart. */
export function memory({ clock = systemClock, maxKeys = 100_000 }: MemoryIdempotencySettings = {}): IdempotencyDriver {
  const entries = new Map<string, Entry>()
  const now = (): number => clock.monotonic()

  const held = (id: string, token: string): Entry | undefined => {
    const entry = entries.get(id)
    return entry?.token === token ? entry : undefined
  }
  const sweep = (limit: number): number => {
    let removed = 0
    for (const [id, entry] of entries) {
      if (removed === limit) break
      if (entry.expiresAt > now() || !entries.delete(id)) continue
      removed++
    }
    return removed
  }
  const put = (id: string, { token, request, leaseMs, ttlMs }: NewClaim): void => {
    if (!entries.has(id) && entries.size >= maxKeys && sweep(maxKeys) === 0)
      throw idempotencyErrors.error('idempotency.full')
    entries.set(id, { token, request, answer: undefined, leaseUntil: now() + leaseMs, expiresAt: now() + ttlMs })
  }

  return {
    name: 'memory',
    capabilities: { transactional: false, shared: false },
    async claim(id, claim): Promise<Claim> {
      const entry = entries.get(id)
      if (entry === undefined || entry.expiresAt <= now()) {
        put(id, claim)
        return { state: 'claimed' }
      }
      const { request, token, answer } = entry
      const leaseLeftMs = entry.leaseUntil - now()
      return answer === undefined
        ? { state: 'running', request, token, leaseLeftMs }
        : { state: 'settled', request, answer, leaseLeftMs }
    },
    async takeOver(id, former, claim) {
      const entry = held(id, former)
      if (entry === undefined || entry.answer !== undefined || entry.leaseUntil > now()) return false
      put(id, claim)
      return true
    },
    async extend(id, token, leaseMs) {
      const entry = held(id, token)
      if (entry === undefined) return false
      entry.leaseUntil = now() + leaseMs
      entry.expiresAt = Math.max(entry.expiresAt, entry.leaseUntil)
      return true
    },
    async settle(id, token, answer, ttlMs) {
      const entry = held(id, token)
      if (entry === undefined) return false
      entry.answer = answer
      entry.expiresAt = now() + ttlMs
      return true
    },
    async release(id, token) {
      const entry = held(id, token)
      if (entry !== undefined && entry.answer === undefined) entries.delete(id)
    },
    async sweep(limit) {
      return sweep(limit)
    },
    async ping() {},
    async close() {
      entries.clear()
    },
  }
}
