import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { testDb } from '../../../testing/db.ts'
import type { TestDb } from '../../../testing/db.ts'
import type { QuotaSubject } from '../quota.ts'
import { migrations, quotaOn, someTenant } from './setup.ts'

let db: TestDb
beforeAll(async () => {
  db = await testDb({ migrations })
})
afterAll(() => db[Symbol.asyncDispose]())

const rows = async (): Promise<unknown> =>
  (await db.query('select count(*) as n from forge_quota_counters')).rows[0]!['n']

describe('nonsense', () => {
  it('as a cost is refused before the database hears of it', async () => {
    const quota = quotaOn(db)
    for (const cost of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, 1e13, '5' as unknown as number]) {
      await expect(quota.take(someTenant(), 'exports', { cost })).rejects.toMatchObject({ code: 'quota.cost_invalid' })
      await expect(quota.reserve(someTenant(), 'exports', { cost })).rejects.toMatchObject({
        code: 'quota.cost_invalid',
      })
    }
    expect(await rows()).toBe(0)
  })

  it('as a quota is refused and never unlimited', async () => {
    const quota = quotaOn(db)
    for (const name of ['export', '', '__proto__', 'constructor', `exports'; drop table forge_quota_counters; --`])
      await expect(quota.take(someTenant(), name)).rejects.toMatchObject({ code: 'quota.unknown', status: 422 })
    expect(await rows()).toBe(0)
  })

  it('as a subject is refused: nobody shares a bucket', async () => {
    const quota = quotaOn(db)
    const id = randomUUID()
    const subjects = [
      { kind: 'tenant', id: '' },
      { kind: 'tenant', id: 'anonymous' },
      { kind: 'tenant', id: null },
      { kind: 'tenant' },
      { kind: 'user', id },
      { kind: 'api_key', id },
      { kind: 'api_key', id: 'x', tenantId: id },
      { kind: 'api_key', id, tenantId: id.toUpperCase() },
    ] as unknown as QuotaSubject[]
    for (const subject of subjects)
      await expect(quota.take(subject, 'exports')).rejects.toMatchObject({ code: 'quota.subject_invalid' })
    expect(await rows()).toBe(0)
  })

  it('cannot buy a second bucket by writing an id otherwise', async () => {
    const quota = quotaOn(db)
    const { id } = someTenant()
    await quota.take({ kind: 'tenant', id }, 'exports', { cost: 60 })
    await expect(quota.take({ kind: 'tenant', id: id.toUpperCase() }, 'exports', { cost: 60 })).rejects.toMatchObject({
      code: 'quota.exceeded',
    })
    expect(await quota.history(id.toUpperCase())).toEqual([])
  })

  it('is what a quota outside of the plan stays: refused', async () => {
    const quota = quotaOn(db)
    await expect(quota.take(someTenant(), 'seats')).rejects.toMatchObject({ code: 'quota.not_in_plan', status: 403 })
    await expect(quota.reserve(someTenant(), 'seats')).rejects.toMatchObject({ code: 'quota.not_in_plan' })
  })

  it('without a chance ever to pass is told so: no Retry-After', async () => {
    const error: unknown = await quotaOn(db)
      .take(someTenant(), 'exports', { cost: 101 })
      .catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'quota.exceeded', retryAfterMs: undefined })
    expect((error as { meta: object }).meta).not.toHaveProperty('resets_at')
  })

  it('of size fills a counter to its brim and breaks nothing', async () => {
    const quota = quotaOn(db)
    const tenant = someTenant()
    await quota.assign(tenant.id, { plan: 'pro' })
    await db.query(
      `insert into forge_quota_counters (tenant_id, subject_id, quota, per, starts_at, ends_at, used)
       select $1, $1, 'seats', 'month', p.starts_at, p.ends_at, 9007199254740990 from forge_quota_period('month', now(), 1) p`,
      [tenant.id],
    )
    await quota.take(tenant, 'seats', { cost: 1_000_000_000_000 })
    await quota.take(tenant, 'seats', { cost: 1_000_000_000_000 })
    const seats = (await quota.usage(tenant)).quotas.find((each) => each.quota === 'seats')
    expect(seats!.standings).toMatchObject([{ used: Number.MAX_SAFE_INTEGER, limit: null, remaining: null }])
  })
})
