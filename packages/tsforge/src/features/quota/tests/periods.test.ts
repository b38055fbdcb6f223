import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createFakeClock } from '../../../testing/clock.ts'
import { testDb } from '../../../testing/db.ts'
import type { TestDb } from '../../../testing/db.ts'
import type { Quota, QuotaSubject } from '../quota.ts'
import { migrations, quotaOn, someTenant } from './setup.ts'

let db: TestDb
beforeAll(async () => {
  db = await testDb({ migrations })
})
afterAll(() => db[Symbol.asyncDispose]())

const second = 1000
const minute = 60 * second

async function usedOf(quota: Quota, tenant: QuotaSubject, name: string, per: string): Promise<number> {
  const found = (await quota.usage(tenant)).quotas.find((each) => each.quota === name)
  return found!.standings.find((standing) => standing.per === per)!.used
}

describe('a month', () => {
  it('ends on its edge to the millisecond, in UTC, and its usage stays behind', async () => {
    const clock = createFakeClock(Date.UTC(2026, 0, 31, 23, 59, 59, 999))
    const quota = quotaOn(db, { time: clock })
    const tenant = someTenant()
    await quota.take(tenant, 'exports', { cost: 100 })
    await expect(quota.take(tenant, 'exports')).rejects.toMatchObject({ code: 'quota.exceeded', retryAfterMs: 1 })
    clock.jump(Date.UTC(2026, 1, 1))
    expect((await quota.take(tenant, 'exports', { cost: 60 })).standings[0]).toMatchObject({
      used: 60,
      startsAt: new Date('2026-02-01T00:00:00Z'),
      resetsAt: new Date('2026-03-01T00:00:00Z'),
    })
    expect(await quota.history(tenant.id)).toEqual([
      {
        keyId: null,
        quota: 'exports',
        per: 'month',
        startsAt: new Date('2026-01-01T00:00:00Z'),
        endsAt: new Date('2026-02-01T00:00:00Z'),
        used: 100,
        limit: 100,
      },
    ])
  })

  it.each([
    // The 31st is the last day of shorter months.
    [31, '2026-02-27T23:59:59.999Z', '2026-01-31', '2026-02-28'],
    [31, '2026-02-28T00:00:00Z', '2026-02-28', '2026-03-31'],
    [31, '2028-02-29T00:00:00Z', '2028-02-29', '2028-03-31'],
    [30, '2026-03-15T00:00:00Z', '2026-02-28', '2026-03-30'],
    [15, '2026-01-14T23:59:59Z', '2025-12-15', '2026-01-15'],
    [15, '2026-12-15T00:00:00Z', '2026-12-15', '2027-01-15'],
    [1, '2026-12-31T12:00:00Z', '2026-12-01', '2027-01-01'],
  ])('of anchor day %i is at %s the one from %s to %s', async (anchorDay, now, from, to) => {
    const quota = quotaOn(db, { time: createFakeClock(Date.parse(now)) })
    const tenant = someTenant()
    await quota.assign(tenant.id, { plan: 'free', anchorDay })
    expect((await quota.take(tenant, 'exports')).standings[0]).toMatchObject({
      startsAt: new Date(`${from}T00:00:00Z`),
      resetsAt: new Date(`${to}T00:00:00Z`),
    })
  })

  it('does not depend on the time zone of the session', async () => {
    const quota = quotaOn(db, { time: createFakeClock(Date.UTC(2026, 2, 31, 23, 30)) })
    const tenant = someTenant()
    await db.tx(async (tx) => {
      await tx.query(`set local time zone 'Pacific/Kiritimati'`)
      const taken = await quota.take(tenant, 'exports', {}, tx)
      expect(taken.standings[0]).toMatchObject({ startsAt: new Date('2026-03-01T00:00:00Z') })
    })
  })

  it('follows the time of the database when no clock is injected', async () => {
    const { rows } = await db.query<{ starts: Date }>(
      `select date_trunc('month', now() at time zone 'UTC') at time zone 'UTC' as starts`,
    )
    const taken = await quotaOn(db).take(someTenant(), 'exports')
    expect(taken.standings[0]!.startsAt).toEqual(rows[0]!.starts)
  })
})

describe('a minute', () => {
  it('slides: over its edge no more passes than the part of it that is over', async () => {
    const clock = createFakeClock(Date.UTC(2026, 0, 1, 12, 0, 59))
    const quota = quotaOn(db, { time: clock })
    const tenant = someTenant()
    await quota.take(tenant, 'api.requests', { cost: 10 })
    clock.jump(Date.UTC(2026, 0, 1, 12, 1, 0))
    await expect(quota.take(tenant, 'api.requests')).rejects.toMatchObject({ retryAfterMs: 6 * second })
    clock.jump(Date.UTC(2026, 0, 1, 12, 1, 6) - 1)
    await expect(quota.take(tenant, 'api.requests')).rejects.toMatchObject({ retryAfterMs: 1 })
    clock.jump(Date.UTC(2026, 0, 1, 12, 1, 6))
    await quota.take(tenant, 'api.requests')
    await expect(quota.take(tenant, 'api.requests')).rejects.toMatchObject({ code: 'quota.exceeded' })
  })

  it('lets the call pass at the very moment that Retry-After named, and not before, wherever in the window', async () => {
    const start = Date.UTC(2026, 0, 1, 12)
    const clock = createFakeClock(start)
    const quota = quotaOn(db, { time: clock })
    const tenant = someTenant()
    await quota.assign(tenant.id, { plan: 'pro' })
    let seed = 7
    const random = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below
    let refused = 0
    for (let turn = 0; turn < 60; turn++) {
      const cost = 1 + random(40)
      const before = clock.now()
      const error = await quota.take(tenant, 'api.requests', { cost }).then(
        () => undefined,
        (thrown: unknown) => thrown as { code: string; retryAfterMs: number; meta: { violated: { per: string }[] } },
      )
      if (error === undefined) {
        clock.jump(before + random(20) * second)
        continue
      }
      expect(error.code).toBe('quota.exceeded')
      if (error.meta.violated.some(({ per }) => per === 'month')) break
      refused++
      if (error.retryAfterMs > 1) {
        clock.jump(before + error.retryAfterMs - 1)
        await expect(quota.take(tenant, 'api.requests', { cost })).rejects.toMatchObject({ code: 'quota.exceeded' })
      }
      clock.jump(before + error.retryAfterMs)
      await quota.take(tenant, 'api.requests', { cost })
    }
    expect(refused).toBeGreaterThan(5)
  })

  it('is empty again when two have gone by', async () => {
    const clock = createFakeClock(Date.UTC(2026, 0, 1, 12, 0, 30))
    const quota = quotaOn(db, { time: clock })
    const tenant = someTenant()
    const { standings } = await quota.take(tenant, 'api.requests', { cost: 10 })
    clock.jump(standings[0]!.resetsAt.getTime() - minute / 2)
    expect(await usedOf(quota, tenant, 'api.requests', 'minute')).toBe(5)
    clock.jump(standings[0]!.resetsAt.getTime())
    expect(await usedOf(quota, tenant, 'api.requests', 'minute')).toBe(0)
    expect(await usedOf(quota, tenant, 'api.requests', 'month')).toBe(10)
  })
})
