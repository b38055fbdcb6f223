import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createFakeClock } from '../../../testing/clock.ts'
import { testDb } from '../../../testing/db.ts'
import type { TestDb } from '../../../testing/db.ts'
import { keyOf, migrations, quotaOn, someTenant, second } from './setup.ts'

let db: TestDb
beforeAll(async () => {
  db = await testDb({ migrations })
})
afterAll(() => db[Symbol.asyncDispose]())

const exceeded = { code: 'quota.exceeded', status: 429 }

describe('a take', () => {
  it('counts in every window, and says what is left of each', async () => {
    const quota = quotaOn(db, { time: createFakeClock(Date.UTC(2026, 4, 17, 10, 30, 30)) })
    const tenant = someTenant()
    await quota.take(tenant, 'api.requests', { cost: 3 })
    const taken = await quota.take(tenant, 'api.requests', { cost: 4 })
    expect(taken).toMatchObject({ plan: 'free', cost: 4 })
    expect(taken.standings).toEqual([
      {
        per: 'minute',
        each: 'tenant',
        limit: 10,
        soft: false,
        used: 7,
        remaining: 3,
        startsAt: new Date('2026-05-17T10:30:00Z'),
        resetsAt: new Date('2026-05-17T10:32:00Z'),
      },
      {
        per: 'month',
        each: 'tenant',
        limit: 25,
        soft: false,
        used: 7,
        remaining: 18,
        startsAt: new Date('2026-05-01T00:00:00Z'),
        resetsAt: new Date('2026-06-01T00:00:00Z'),
      },
    ])
  })

  it('is refused whole when one window has no room, and counts in none then', async () => {
    const clock = createFakeClock(Date.UTC(2026, 4, 17, 10, 30))
    const quota = quotaOn(db, { time: clock })
    const tenant = someTenant()
    await quota.take(tenant, 'api.requests', { cost: 10 })
    await expect(quota.take(tenant, 'api.requests')).rejects.toMatchObject({
      ...exceeded,
      meta: { quota: 'api.requests', violated: [{ per: 'minute', limit: 10, used: 10 }] },
    })
    const { quotas } = await quota.usage(tenant)
    expect(quotas[0]!.standings.map(({ used }) => used)).toEqual([10, 10])
  })

  it('of a hundred at once gives exactly the limit, over two pools', async () => {
    const [one, two] = [quotaOn(db), quotaOn(second(db))]
    const tenant = someTenant()
    const results = await Promise.allSettled(
      Array.from({ length: 150 }, (_, n) => (n % 2 === 0 ? one : two).take(tenant, 'exports')),
    )
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(100)
    expect((await one.usage(tenant)).quotas[1]!.standings[0]).toMatchObject({ used: 100, remaining: 0 })
  })

  it('by an API key counts in its own share and in the total of its tenant', async () => {
    const quota = quotaOn(db)
    const tenant = someTenant()
    const [a, b, c] = [keyOf(tenant), keyOf(tenant), keyOf(tenant)]
    await quota.take(a, 'keys', { cost: 4 })
    await expect(quota.take(a, 'keys')).rejects.toMatchObject({
      ...exceeded,
      meta: { violated: [{ each: 'api_key', limit: 4 }] },
    })
    await quota.take(b, 'keys', { cost: 4 })
    await quota.take(tenant, 'keys')
    await expect(quota.take(c, 'keys', { cost: 2 })).rejects.toMatchObject({
      meta: { violated: [{ each: 'tenant', used: 9 }] },
    })
    expect((await quota.usage(a)).quotas.find((each) => each.quota === 'keys')!.standings).toMatchObject([
      { each: 'tenant', used: 9 },
      { each: 'api_key', used: 4, remaining: 0 },
    ])
  })
})
