import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createFakeClock } from '../../../testing/clock.ts'
import { testDb } from '../../../testing/db.ts'
import type { TestDb } from '../../../testing/db.ts'
import { quotaLevelReached } from '../events.ts'
import type { Quota, QuotaSubject } from '../quota.ts'
import { keyOf, migrations, quotaOn, someTenant, second } from './setup.ts'

let db: TestDb
beforeAll(async () => {
  db = await testDb({ migrations })
})
afterAll(() => db[Symbol.asyncDispose]())

async function exportsUsed(quota: Quota, tenant: QuotaSubject): Promise<number> {
  return (await quota.usage(tenant)).quotas.find((each) => each.quota === 'exports')!.standings[0]!.used
}

describe('units taken in a transaction', () => {
  it('come back when it rolls back, and their event never was', async () => {
    const quota = quotaOn(db)
    const tenant = someTenant()
    const told: unknown[] = []
    const listen = (message: unknown): unknown => told.push(message)
    quotaLevelReached.subscribe(listen)
    const exportsUsedIn = async (tx: Parameters<Quota['usage']>[1]): Promise<number> =>
      (await quota.usage(tenant, tx)).quotas.find((each) => each.quota === 'exports')!.standings[0]!.used
    const failed = db.tx(async (tx) => {
      await quota.take(tenant, 'exports', { cost: 90 }, tx)
      expect(await exportsUsedIn(tx)).toBe(90)
      throw new Error('no')
    })
    await expect(failed).rejects.toThrow('no')
    quotaLevelReached.unsubscribe(listen)
    expect(await exportsUsed(quota, tenant)).toBe(0)
    expect(told).toEqual([])
    const { rows } = await db.query('select 1 from forge_quota_events where tenant_id = $1', [tenant.id])
    expect(rows).toEqual([])
  })

  it('commit with it, and tell only then', async () => {
    const quota = quotaOn(db)
    const tenant = someTenant()
    const told: unknown[] = []
    const listen = (message: unknown): unknown => told.push(message)
    quotaLevelReached.subscribe(listen)
    await db.tx(async (tx) => {
      await quota.take(tenant, 'exports', { cost: 90 }, tx)
      expect(told).toEqual([])
    })
    quotaLevelReached.unsubscribe(listen)
    expect(told).toMatchObject([{ tenantId: tenant.id, quota: 'exports', level: 80 }])
    expect(await exportsUsed(quota, tenant)).toBe(90)
  })

  it.each(['read committed', 'repeatable read', 'serializable'] as const)(
    'never exceed the limit in %s transactions that race',
    async (isolation) => {
      const quota = quotaOn(db)
      const tenant = someTenant()
      const results = await Promise.allSettled(
        Array.from({ length: 12 }, (_, n) =>
          db.tx(
            async (tx) => {
              if (n % 2 === 0) await quota.take(tenant, 'exports', { cost: 20 }, tx)
              else await quota.reserve(tenant, 'exports', { cost: 20 }, tx)
            },
            { isolation, attempts: 30 },
          ),
        ),
      )
      expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(5)
      expect(await exportsUsed(quota, tenant)).toBe(100)
    },
  )
})

describe('a refund', () => {
  it('goes to the period that the units came from, once', async () => {
    const clock = createFakeClock(Date.UTC(2026, 0, 31, 23, 59))
    const quota = quotaOn(db, { time: clock })
    const tenant = someTenant()
    const taken = await quota.take(tenant, 'exports', { cost: 30 })
    clock.jump(Date.UTC(2026, 1, 1))
    await quota.take(tenant, 'exports', { cost: 5 })
    await quota.refund(taken, { cost: 10 })
    await quota.refund(taken, { cost: 10 })
    expect(await exportsUsed(quota, tenant)).toBe(5)
    expect(await quota.history(tenant.id)).toMatchObject([{ used: 20 }])
    await expect(quota.refund(taken, { cost: 31 })).rejects.toMatchObject({ code: 'quota.cost_invalid' })
  })

  it('reaches the share of the API key and the total', async () => {
    const quota = quotaOn(db)
    const tenant = someTenant()
    const key = keyOf(tenant)
    await quota.refund(await quota.take(key, 'keys', { cost: 4 }))
    expect((await quota.take(key, 'keys', { cost: 4 })).standings).toMatchObject([{ used: 4 }, { used: 4 }])
  })
})

describe('a reservation', () => {
  it('holds its units until it is committed, for what it really cost', async () => {
    const quota = quotaOn(db)
    const tenant = someTenant()
    const { id } = await quota.reserve(tenant, 'exports', { cost: 80 })
    await expect(quota.take(tenant, 'exports', { cost: 21 })).rejects.toMatchObject({ code: 'quota.exceeded' })
    // Any process can: the id is enough.
    await quotaOn(second(db)).commit(id, { cost: 30 })
    expect(await exportsUsed(quota, tenant)).toBe(30)
    await expect(quota.commit(id)).rejects.toMatchObject({ code: 'quota.reservation_gone' })
    expect(await exportsUsed(quota, tenant)).toBe(30)
  })

  it('lets go by itself when its lease is over, and cannot be committed then', async () => {
    const clock = createFakeClock(Date.UTC(2026, 0, 10))
    const quota = quotaOn(db, { time: clock })
    const tenant = someTenant()
    const { id, expiresAt } = await quota.reserve(tenant, 'exports', { cost: 100, leaseMs: 60_000 })
    expect(expiresAt).toEqual(new Date('2026-01-10T00:01:00Z'))
    clock.jump(expiresAt.getTime() - 1)
    await expect(quota.take(tenant, 'exports')).rejects.toMatchObject({ code: 'quota.exceeded' })
    clock.jump(expiresAt.getTime())
    await quota.take(tenant, 'exports', { cost: 100 })
    await expect(quota.commit(id)).rejects.toMatchObject({ code: 'quota.reservation_gone' })
    expect(await exportsUsed(quota, tenant)).toBe(100)
  })

  it('is released, also twice and when it never was', async () => {
    const quota = quotaOn(db)
    const tenant = someTenant()
    const { id } = await quota.reserve(tenant, 'exports', { cost: 100 })
    await quota.release(id)
    await quota.release(id)
    await quota.release(randomUUID())
    await quota.release(`' or true --`)
    await quota.take(tenant, 'exports', { cost: 100 })
  })

  it('of the month before is charged to the month before', async () => {
    const clock = createFakeClock(Date.UTC(2026, 0, 31, 23, 59))
    const quota = quotaOn(db, { time: clock })
    const tenant = someTenant()
    const { id } = await quota.reserve(tenant, 'exports', { cost: 100 })
    clock.jump(Date.UTC(2026, 1, 1))
    await quota.take(tenant, 'exports', { cost: 100 })
    await quota.commit(id)
    expect(await exportsUsed(quota, tenant)).toBe(100)
    expect(await quota.history(tenant.id)).toMatchObject([{ used: 100 }])
  })

  it('is committed once, whoever tries at the same time', async () => {
    const quota = quotaOn(db)
    const tenant = someTenant()
    const { id } = await quota.reserve(tenant, 'exports', { cost: 40 })
    const results = await Promise.allSettled(Array.from({ length: 8 }, () => quota.commit(id)))
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    expect(await exportsUsed(quota, tenant)).toBe(40)
  })

  it('is not committed for more than it holds', async () => {
    const quota = quotaOn(db)
    const { id } = await quota.reserve(someTenant(), 'exports', { cost: 4 })
    await expect(quota.commit(id, { cost: 5 })).rejects.toMatchObject({ code: 'quota.cost_invalid' })
    await quota.commit(id, { cost: 0 })
  })
})
