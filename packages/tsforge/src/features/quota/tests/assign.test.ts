import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createFakeClock } from '../../../testing/clock.ts'
import { testDb } from '../../../testing/db.ts'
import type { TestDb } from '../../../testing/db.ts'
import { definePlan } from '../plans.ts'
import { free, migrations, pro, quotaOn, someTenant, second } from './setup.ts'

let db: TestDb
beforeAll(async () => {
  db = await testDb({ migrations })
})
afterAll(() => db[Symbol.asyncDispose]())

const exceeded = { code: 'quota.exceeded' }

describe('a change of plan', () => {
  it('holds from the next take on, in every process, and forgets nothing that was used', async () => {
    const [here, there] = [quotaOn(db), quotaOn(second(db))]
    const tenant = someTenant()
    await here.take(tenant, 'exports', { cost: 100 })
    await expect(there.take(tenant, 'exports')).rejects.toMatchObject(exceeded)
    await here.assign(tenant.id, { plan: 'pro' })
    expect((await there.take(tenant, 'exports', { cost: 50 })).standings[0]).toMatchObject({ used: 150, limit: 200 })
    await here.assign(tenant.id, { plan: 'free' })
    await expect(there.take(tenant, 'exports')).rejects.toMatchObject({
      ...exceeded,
      meta: { violated: [{ limit: 100, used: 150 }] },
    })
  })

  it('rolls back with its transaction', async () => {
    const quota = quotaOn(db)
    const tenant = someTenant()
    await expect(
      db.tx(async (tx) => {
        await quota.assign(tenant.id, { plan: 'pro' }, tx)
        throw new Error('no')
      }),
    ).rejects.toThrow('no')
    expect(await quota.planOf(tenant.id)).toMatchObject({ plan: { name: 'free' }, assigned: false })
  })

  it('to one that is not declared is refused', async () => {
    const quota = quotaOn(db)
    for (const plan of ['gold', '', '__proto__', 'constructor'])
      await expect(quota.assign(someTenant().id, { plan })).rejects.toMatchObject({ code: 'quota.plan_unknown' })
  })

  it('that a process does not know refuses its takes, and its next start', async () => {
    const gold = definePlan({ ...specOf(), name: 'gold' })
    const tenant = someTenant()
    await quotaOn(db, { plans: [free, pro, gold] }).assign(tenant.id, { plan: 'gold' })
    const old = quotaOn(db)
    await expect(old.take(tenant, 'exports')).rejects.toMatchObject({ code: 'quota.plan_unknown', status: 409 })
    await expect(old.usage(tenant)).rejects.toMatchObject({ code: 'quota.plan_unknown' })
    await expect(old.planOf(tenant.id)).rejects.toMatchObject({ code: 'quota.plan_unknown' })
    await expect(old.start()).rejects.toMatchObject({ code: 'quota.misdeclared' })
    await quotaOn(db, { plans: [free, pro, gold] }).start()
  })
})

function specOf() {
  return {
    quotas: {
      'api.requests': [{ limit: 1, per: 'day' }],
      exports: [{ limit: 1, per: 'day' }],
      seats: false,
      storage: false,
      keys: false,
    },
  } as const
}

describe('a new anchor day', () => {
  it('begins a month that takes over what the running one has used', async () => {
    const clock = createFakeClock(Date.UTC(2026, 4, 20))
    const quota = quotaOn(db, { time: clock })
    const tenant = someTenant()
    await quota.take(tenant, 'exports', { cost: 90 })
    await quota.assign(tenant.id, { plan: 'free', anchorDay: 15 })
    await expect(quota.take(tenant, 'exports', { cost: 11 })).rejects.toMatchObject(exceeded)
    expect((await quota.take(tenant, 'exports', { cost: 5 })).standings[0]).toMatchObject({
      used: 95,
      startsAt: new Date('2026-05-15T00:00:00Z'),
    })
    // There and back again gives nothing away.
    await quota.assign(tenant.id, { plan: 'free', anchorDay: 1 })
    expect((await quota.take(tenant, 'exports', { cost: 5 })).standings[0]).toMatchObject({ used: 100 })
    expect(await quota.planOf(tenant.id)).toMatchObject({ anchorDay: 1, assigned: true })
  })

  it('that is none is refused', async () => {
    for (const anchorDay of [0, 32, 1.5, Number.NaN])
      await expect(quotaOn(db).assign(someTenant().id, { plan: 'free', anchorDay })).rejects.toThrow(RangeError)
  })
})
