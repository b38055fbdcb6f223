import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { jobsPort } from '../../../primitives/jobs/index.ts'
import type { TestApp } from '../../../testing/app.ts'
import { webhooksPort } from '../index.ts'
import { anew, customer, deliveries, endpoint, says, ownerOf, tenantOf, webhookApp } from './setup.ts'
import type { Owner, Customer } from './setup.ts'

const url = '/api/v1/webhooks/endpoints'
let shop: Customer
let app: TestApp
let ada: Owner
let tenantId: string
beforeAll(async () => {
  shop = await customer()
  app = await webhookApp([shop])
})
beforeEach(async () => {
  await anew(app, shop)
  ada = await ownerOf(app)
  tenantId = await tenantOf(ada)
})
afterAll(async () => {
  await app[Symbol.asyncDispose]()
  await shop[Symbol.asyncDispose]()
})

const send = (id: string, type = 'order.placed'): Promise<unknown> =>
  app.get(webhooksPort).send(app.db, { tenantId, type, data: { id }, id })
const later = async (ms: number): Promise<void> => {
  app.clock.jump(app.clock.now() + ms)
  await app.jobs.drain()
}
const arrived = (): unknown[] => shop.received.map(({ headers }) => headers['webhook-id'])

describe('an endpoint', () => {
  it('gets no more at the same time than it takes, and the rest as places come free', async () => {
    const { id } = await endpoint(ada, shop, { concurrency: 3 })
    let now = 0
    let most = 0
    shop.answer = async (_, response) => {
      most = Math.max(most, ++now)
      await new Promise(setImmediate)
      await app.db.query('select 1')
      now--
      response.writeHead(204).end()
    }
    for (let n = 0; n < 20; n++) await send(`o${n}`)
    // The clock stands still: waiting ones are called.
    await app.jobs.drain()
    expect(most).toBeLessThanOrEqual(3)
    expect(new Set(arrived()).size).toBe(20)
    expect(shop.received).toHaveLength(20)
    expect((await deliveries(ada, id, '?limit=50')).every(({ attempts }) => attempts === 1)).toBe(true)
  })

  it('gets what waits for a place as soon as there is one, also when its job is only on its way to sleep', async () => {
    await endpoint(ada, shop, { concurrency: 1 })
    const { driver } = app.get(jobsPort)
    const { step, retry } = driver
    const waits = Promise.withResolvers<void>()
    const called = Promise.withResolvers<void>()
    vi.spyOn(driver, 'step').mockImplementation(async (request) => {
      if (request.finished.some(({ as }) => as === 'snoozed')) {
        waits.resolve()
        await called.promise
      }
      return step.call(driver, request)
    })
    vi.spyOn(driver, 'retry').mockImplementation((ids) => retry.call(driver, ids).finally(called.resolve))
    shop.answer = async (_, response) => {
      await waits.promise
      response.writeHead(204).end()
    }
    await send('o1')
    await send('o2')
    await app.jobs.drain().finally(() => vi.restoreAllMocks())
    expect(arrived().toSorted()).toEqual(['o1', 'o2'])
    // The job that slept finds nothing to do.
    await later(60_000)
    expect(shop.received).toHaveLength(2)
  })

  it('gets no more per second than its rate, and waiting counts as no attempt', async () => {
    const { id } = await endpoint(ada, shop, { rate: 2 })
    for (let n = 0; n < 6; n++) await send(`o${n}`)
    const seen = []
    await app.jobs.drain()
    for (let n = 0; n < 5; n++) {
      seen.push(shop.received.length)
      await later(500)
    }
    expect(seen).toEqual([2, 3, 4, 5, 6])
    expect((await deliveries(ada, id)).every(({ attempts }) => attempts === 1)).toBe(true)
  })

  it('that wants order gets one after the other, and one that fails holds up the others', async () => {
    const { id } = await endpoint(ada, shop, { ordered: true })
    let broken = true
    shop.answer = ({ headers }, response) =>
      response.writeHead(headers['webhook-id'] === 'o2' && broken ? 500 : 204).end()
    const ids = Array.from({ length: 12 }, (_, n) => `o${n}`)
    for (const each of ids) await send(each)
    for (let round = 0; round < 5; round++) await later(800)
    expect(arrived().slice(0, 3)).toEqual(['o0', 'o1', 'o2'])
    expect(new Set(arrived().slice(3))).toEqual(new Set(arrived().length > 3 ? ['o2'] : []))
    broken = false
    for (let round = 0; round < 30 && shop.received.at(-1)?.headers['webhook-id'] !== 'o11'; round++)
      await later(60_000)
    const succeeded = arrived().filter((each, at, all) => all.indexOf(each) === at)
    expect(succeeded).toEqual(ids)
    expect((await deliveries(ada, id)).every(({ state }) => state === 'succeeded')).toBe(true)
  })

  it('that is down is left in peace, at the cost of no attempt, until one delivery finds it well again', async () => {
    const { id } = await endpoint(ada, shop, { concurrency: 1 })
    says(shop, 503)
    for (let n = 0; n < 30; n++) await send(`o${n}`)
    for (let round = 0; round < 10; round++) await later(1500)
    expect(shop.received).toHaveLength(5)
    const stats = await ada.get(`${url}/${id}/stats`)
    expect(stats.body.data).toMatchObject({ attempts: 5, failures: 5, deliveries: { pending: 30 } })
    expect((await deliveries(ada, id, '?limit=50')).filter(({ attempts }) => attempts === 0)).toHaveLength(25)
    await ada.patch(`${url}/${id}`, { concurrency: 10 })
    await later(35_000)
    // One tried, and all went back to rest for longer.
    expect(shop.received).toHaveLength(6)
    says(shop, 204)
    for (let round = 0; round < 30 && shop.received.length < 6 + 30; round++) await later(60_000)
    expect((await deliveries(ada, id, '?limit=50')).map(({ state }) => state)).toEqual(
      Array.from({ length: 30 }, () => 'succeeded'),
    )
    expect(await ada.get(`${url}/${id}/stats`)).toMatchObject({
      body: { data: { failing_since: null, rests_until: null, deliveries: { succeeded: 30 } } },
    })
  })

  it('that answers 410 is disabled at once, with a notice to those who asked for it', async () => {
    const { id } = await endpoint(ada, shop, { events: ['order.*'], url: `${shop.url}?token=abc` })
    says(shop, 410)
    await send('o1')
    await send('o2')
    await app.jobs.drain()
    expect((await ada.get(`${url}/${id}`)).body.data).toMatchObject({ enabled: false, disabled_reason: 'gone' })
    expect((await deliveries(ada, id)).map(({ state }) => state)).not.toContain('pending')
    await send('o3')
    await later(86_400_000)
    expect(shop.received.length).toBeLessThanOrEqual(2)
    const { rows } = await app.db.query('select type, tenant_id, data from forge_events where tenant_id = $1', [
      tenantId,
    ])
    expect(rows).toMatchObject([
      {
        type: 'webhook.endpoint_disabled',
        tenant_id: tenantId,
        data: { endpoint_id: id, url: `${shop.url}?token=…`, reason: 'gone' },
      },
    ])
  })

  it('with nothing but failures for five days is disabled; what it missed comes when it is well again', async () => {
    const { id } = await endpoint(ada, shop)
    says(shop, 500)
    for (let day = 0; day < 5; day++) {
      await send(`day${day}`)
      await later(0)
      for (let part = 0; part < 4; part++) await later(21_500_000)
      expect((await ada.get(`${url}/${id}`)).body.data).toMatchObject({ enabled: true })
    }
    await send('day5')
    for (let hour = 0; hour < 3; hour++) await later(3_600_000)
    expect((await ada.get(`${url}/${id}`)).body.data).toMatchObject({ enabled: false, disabled_reason: 'failing' })
    const before = shop.received.length
    await send('missed')
    await later(86_400_000)
    expect(shop.received).toHaveLength(before)
    says(shop, 204)
    const since = new Date(app.clock.now() - 10 * 86_400_000).toISOString()
    expect((await ada.post(`${url}/${id}/recover`, { since })).status).toBe(409)
    await ada.patch(`${url}/${id}`, { enabled: true })
    const preview = await ada.post(`${url}/${id}/replay`, { since, preview: true })
    expect(preview.body.data).toMatchObject({ count: 7, more: false })
    await app.jobs.drain()
    expect(shop.received).toHaveLength(before)
    expect((await ada.post(`${url}/${id}/recover`, { since })).body.data).toMatchObject({ count: 7, more: false })
    await later(60_000)
    expect(new Set(arrived().slice(before))).toEqual(
      new Set(['day0', 'day1', 'day2', 'day3', 'day4', 'day5', 'missed']),
    )
    expect((await deliveries(ada, id)).every(({ state }) => state === 'succeeded')).toBe(true)
  })

  it('that succeeds in between is not disabled', async () => {
    const { id } = await endpoint(ada, shop)
    for (let day = 0; day < 7; day++) {
      says(shop, 500)
      await send(`bad${day}`)
      await later(0)
      says(shop, day % 3 === 2 ? 204 : 500)
      await later(86_400_000)
    }
    expect((await ada.get(`${url}/${id}`)).body.data).toMatchObject({ enabled: true })
  })
})

describe('sending again', () => {
  it('delivers one once more, and tries one that waits now', async () => {
    const { id } = await endpoint(ada, shop)
    await send('o1')
    await app.jobs.drain()
    const [done] = await deliveries(ada, id)
    expect(await ada.post(`/api/v1/webhooks/deliveries/${done!.id}/resend`)).toMatchObject({
      body: { data: { state: 'pending', attempts: 1 } },
    })
    await app.jobs.drain()
    expect(arrived()).toEqual(['o1', 'o1'])
    expect(shop.received[0]!.body).toBe(shop.received[1]!.body)
    says(shop, 500)
    await send('o2')
    await app.jobs.drain()
    const [waiting] = await deliveries(ada, id)
    says(shop, 204)
    await ada.post(`/api/v1/webhooks/deliveries/${waiting!.id}/resend`)
    await app.jobs.drain()
    expect(await ada.get(`/api/v1/webhooks/deliveries/${waiting!.id}`)).toMatchObject({
      body: { data: { state: 'succeeded', attempts: 2 } },
    })
    expect(await app.jobs.drain()).toBe(0)
    await later(86_400_000)
    expect(shop.received).toHaveLength(4)
  })

  it('takes any moment that a date can name', async () => {
    const { id } = await endpoint(ada, shop)
    await send('o1')
    await app.jobs.drain()
    const count = async (since: string, until?: string): Promise<unknown> => {
      const wanted = { since, states: ['succeeded'], preview: true, ...(until !== undefined && { until }) }
      const { status, body } = await ada.post<{ count: number }>(`${url}/${id}/replay`, wanted)
      return status === 200 ? body.data.count : status
    }
    expect(await count('0000-01-01T00:00:00Z')).toBe(1)
    expect(await count('2016-12-31t23:59:60z', '9999-12-31 23:59:59-23:59')).toBe(1)
    expect(await count('9999-12-31T23:59:60+00:00')).toBe(0)
    for (const since of ['0000-01-01T00:00:00Z', '2016-12-31T23:59:60Z'])
      expect((await ada.get(`${url}/${id}/stats?since=${since}`)).body.data).toMatchObject({ attempts: 1 })
  })

  it('of many takes what fits, once', async () => {
    const { id } = await endpoint(ada, shop)
    for (let n = 0; n < 12; n++) await send(`o${n}`, n % 2 === 0 ? 'order.placed' : 'user.added')
    await app.jobs.drain()
    const since = new Date(0).toISOString()
    expect((await ada.post(`${url}/${id}/replay`, { since })).body.data).toMatchObject({ count: 0 })
    const wanted = { since, types: ['user.added'], states: ['succeeded'] }
    const preview = await ada.post(`${url}/${id}/replay`, { ...wanted, preview: true })
    expect(preview.body.data).toMatchObject({ count: 6 })
    expect((await ada.post(`${url}/${id}/replay`, wanted)).body.data).toMatchObject({ count: 6, more: false })
    await app.jobs.drain()
    expect(arrived().slice(12).toSorted()).toEqual(['o1', 'o11', 'o3', 'o5', 'o7', 'o9'])
  })
})
