import { expect, it } from 'vitest'
import { silentLog } from '../../../kernel/log.ts'
import { createFakeClock } from '../../../testing/clock.ts'
import { testDb } from '../../../testing/db.ts'
import { startSweeping, sweep } from '../sweep.ts'
import { migrations, quotaOn, someTenant } from './setup.ts'

const day = 24 * 60 * 60_000

it('keeps history for its time, forgets short windows and dead reservations, and leaves what counts', async () => {
  await using db = await testDb({ migrations })
  const clock = createFakeClock(Date.UTC(2026, 0, 15))
  const quota = quotaOn(db, { time: clock })
  const tenant = someTenant()
  const parts = { db, clock, time: clock, log: silentLog, retentionMs: 90 * day }
  await quota.take(tenant, 'api.requests', { cost: 5 })
  await quota.take(tenant, 'exports', { cost: 90 })
  await quota.reserve(tenant, 'exports')
  expect(await sweep(parts)).toBe(0)
  clock.jump(Date.UTC(2026, 0, 15, 3))
  // The minute and the reservation.
  expect(await sweep(parts)).toBe(2)
  clock.jump(Date.UTC(2026, 3, 1))
  expect(await sweep(parts)).toBe(0)
  expect(await quota.history(tenant.id)).toHaveLength(2)
  expect(await quota.history(tenant.id, { quota: 'exports' })).toMatchObject([{ used: 90 }])
  expect(await quota.history(tenant.id, { limit: 1 })).toHaveLength(1)
  clock.jump(Date.UTC(2026, 1, 1) + 91 * day)
  // Both months and the event of 80 %.
  expect(await sweep(parts)).toBe(3)
  expect(await quota.history(tenant.id)).toEqual([])
})

it('runs by itself every minute, and no more once stopped', async () => {
  await using db = await testDb({ migrations })
  const clock = createFakeClock(Date.UTC(2026, 0, 15))
  const quota = quotaOn(db, { time: clock })
  const stop = startSweeping({ db, clock, time: clock, log: silentLog, retentionMs: 90 * day })
  await quota.reserve(someTenant(), 'exports', { leaseMs: 1000 })
  await clock.advance(60_000)
  await stop()
  expect((await db.query('select 1 from forge_quota_reservations')).rows).toEqual([])
  expect(clock.pending).toBe(0)
})
