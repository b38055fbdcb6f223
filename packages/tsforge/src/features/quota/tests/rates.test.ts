import { afterAll, beforeAll, expect, it } from 'vitest'
import { createFakeClock } from '../../../testing/clock.ts'
import { testDb } from '../../../testing/db.ts'
import type { TestDb } from '../../../testing/db.ts'
import { createQuota } from '../create-quota.ts'
import { createPlanBook } from '../plans.ts'
import { free, migrations, pro, someTenant, second } from './setup.ts'

let db: TestDb
beforeAll(async () => {
  db = await testDb({ migrations })
})
afterAll(() => db[Symbol.asyncDispose]())

it('follow the plan of the tenant, at once where it was assigned and within 5 s elsewhere', async () => {
  const clock = createFakeClock()
  const parts = { book: createPlanBook([free, pro], 'free'), clock, leaseMs: 1000 }
  const [here, there] = [createQuota({ ...parts, db }), createQuota({ ...parts, db: second(db) })]
  const { id: tenantId } = someTenant()
  expect(here.numbersOf('burst', { tenantId: null })).toBeUndefined()
  expect(await here.numbersOf('burst', { tenantId })).toBeUndefined()
  expect(await there.numbersOf('burst', { tenantId })).toBeUndefined()
  await here.assign(tenantId, { plan: 'pro' })
  expect(await here.numbersOf('burst', { tenantId })).toEqual({ limit: 50, window: '1s' })
  // Known now, so without a promise.
  expect(here.numbersOf('burst', { tenantId })).toBe(pro.rates['burst'])
  expect(here.numbersOf('constructor', { tenantId })).toBeUndefined()
  expect(there.numbersOf('burst', { tenantId })).toBeUndefined()
  await clock.advance(5000)
  expect(await there.numbersOf('burst', { tenantId })).toBe(pro.rates['burst'])
})
