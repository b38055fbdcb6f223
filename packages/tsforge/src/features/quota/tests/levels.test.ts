import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createFakeClock } from '../../../testing/clock.ts'
import { testDb } from '../../../testing/db.ts'
import type { TestDb } from '../../../testing/db.ts'
import { quotaLevelReached } from '../events.ts'
import type { QuotaLevelEvent } from '../events.ts'
import { migrations, quotaOn, someTenant, second } from './setup.ts'

let db: TestDb
beforeAll(async () => {
  db = await testDb({ migrations })
})
afterAll(() => db[Symbol.asyncDispose]())

let told: QuotaLevelEvent[]
const listen = (message: unknown): unknown => told.push(message as QuotaLevelEvent)
beforeEach(() => {
  told = []
  quotaLevelReached.subscribe(listen)
})
afterEach(() => quotaLevelReached.unsubscribe(listen))

const levels = (): number[] => told.map(({ level }) => level)

describe('a level of a limit', () => {
  it('is told once per period, whatever is given back and taken again', async () => {
    const clock = createFakeClock(Date.UTC(2026, 5, 10))
    const quota = quotaOn(db, { time: clock })
    const tenant = someTenant()
    await quota.take(tenant, 'exports', { cost: 79 })
    expect(levels()).toEqual([])
    const taken = await quota.take(tenant, 'exports')
    expect(told).toEqual([
      {
        id: expect.any(String) as string,
        tenantId: tenant.id,
        keyId: null,
        quota: 'exports',
        per: 'month',
        periodStartsAt: new Date('2026-06-01T00:00:00Z'),
        level: 80,
        used: 80,
        limit: 100,
        at: new Date('2026-06-10T00:00:00Z'),
      },
    ])
    await quota.refund(taken)
    await quota.take(tenant, 'exports', { cost: 21 })
    expect(levels()).toEqual([80, 100])
    await expect(quota.take(tenant, 'exports')).rejects.toMatchObject({ code: 'quota.exceeded' })
    expect(levels()).toEqual([80, 100])
    clock.jump(Date.UTC(2026, 6, 1))
    await quota.take(tenant, 'exports', { cost: 100 })
    expect(levels()).toEqual([80, 100, 80, 100])
    const { rows } = await db.query(
      'select id from forge_quota_events where tenant_id = $1 order by occurred_at, level',
      [tenant.id],
    )
    expect(rows.map(({ id }) => id)).toEqual(told.map(({ id }) => id))
  })

  it('is told once by all who race over it', async () => {
    const tenant = someTenant()
    const quotas = [quotaOn(db), quotaOn(second(db))]
    await Promise.all(Array.from({ length: 100 }, (_, n) => quotas[n % 2]!.take(tenant, 'exports')))
    expect(levels().sort((a, b) => a - b)).toEqual([80, 100])
  })

  it('of a soft limit is told, and nothing refused', async () => {
    const quota = quotaOn(db)
    const tenant = someTenant()
    const { standings } = await quota.take(tenant, 'storage', { cost: 70 })
    expect(standings[0]).toMatchObject({ soft: true, limit: 50, used: 70, remaining: 0 })
    expect(levels()).toEqual([80, 100])
  })

  it('is told when a smaller plan moves the limit below what is used', async () => {
    const quota = quotaOn(db)
    const tenant = someTenant()
    await quota.assign(tenant.id, { plan: 'pro' })
    await quota.take(tenant, 'exports', { cost: 85 })
    expect(levels()).toEqual([])
    await quota.assign(tenant.id, { plan: 'free' })
    await quota.take(tenant, 'exports')
    expect(levels()).toEqual([80])
  })
})
