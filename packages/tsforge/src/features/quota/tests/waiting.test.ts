import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { testDb } from '../../../testing/db.ts'
import type { TestDb } from '../../../testing/db.ts'
import type { QuotaSubject } from '../quota.ts'
import { migrations, quotaOn, second, someTenant } from './setup.ts'

let db: TestDb
beforeAll(async () => {
  db = await testDb({ migrations })
})
afterAll(() => db[Symbol.asyncDispose]())

/** Takes `cost` in a transaction that stays open until the returned function is called. */
async function holding(tenant: QuotaSubject, cost: number): Promise<() => Promise<void>> {
  const { promise: end, resolve: release } = Promise.withResolvers<void>()
  const { promise: taken, resolve: took } = Promise.withResolvers<void>()
  const done = db.tx(async (tx) => {
    await quotaOn(db).take(tenant, 'exports', { cost }, tx)
    took()
    await end
  })
  await taken
  return () => {
    release()
    return done
  }
}

/** Until somebody waits for a lock. PGlite's one connection makes everybody wait as it is. */
async function somebodyWaits(): Promise<void> {
  if (db.url === undefined) return
  const other = second(db)
  for (;;) {
    const { rows } = await other.query(
      `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    )
    if (rows.length > 0) return
  }
}

describe('a take behind an open transaction of the same tenant', () => {
  it('waits for it, and is judged by what it has left', async () => {
    const tenant = someTenant()
    await quotaOn(db).take(tenant, 'exports')
    const commit = await holding(tenant, 60)
    const late = quotaOn(second(db)).take(tenant, 'exports', { cost: 60 })
    const refused = expect(late).rejects.toMatchObject({ code: 'quota.exceeded', meta: { violated: [{ used: 61 }] } })
    await somebodyWaits()
    await commit()
    await refused
  })

  it('is judged by the plan that the tenant has when its turn comes', async () => {
    const tenant = someTenant()
    await quotaOn(db).take(tenant, 'exports')
    const commit = await holding(tenant, 90)
    const late = quotaOn(second(db))
      .take(tenant, 'exports', { cost: 60 })
      .catch((refused: unknown) => refused)
    await somebodyWaits()
    const assigned = quotaOn(db).assign(tenant.id, { plan: 'pro' })
    if (db.url !== undefined) await assigned
    await commit()
    await assigned
    if (db.url !== undefined) expect(await late).toMatchObject({ plan: 'pro', standings: [{ used: 151, limit: 200 }] })
    else expect(await late).toMatchObject({ code: 'quota.exceeded' })
  })

  it('is exact in a crowd, each with a transaction of its own', async () => {
    const tenant = someTenant()
    await quotaOn(db).take(tenant, 'exports')
    const pools = [db, second(db)]
    const results = await Promise.allSettled(
      Array.from({ length: 200 }, (_, n) => {
        const pool = pools[n % 2]!
        return pool.tx((tx) => quotaOn(pool).take(tenant, 'exports', {}, tx))
      }),
    )
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(99)
  })
})
