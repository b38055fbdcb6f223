import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { Webhook } from 'standardwebhooks'
import { Stripe } from 'stripe'
import { Webhook as SvixWebhook } from 'svix'
import type { TestApp } from '../../../testing/app.ts'
import { standard } from '../../../primitives/signatures/index.ts'
import { webhooksPort } from '../index.ts'
import type { Sent } from '../index.ts'
import { anew, atTimeOf, customer, deliveries, endpoint, says, ownerOf, tenantOf, webhookApp } from './setup.ts'
import type { Owner, Customer, EndpointBody, Received } from './setup.ts'

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

const send = (data: unknown = { id: 'o1' }, id?: string, type = 'order.placed'): Promise<Sent> =>
  app.get(webhooksPort).send(app.db, { tenantId, type, data, ...(id !== undefined && { id }) })
const headersOf = ({ headers }: Received): Record<string, string> => headers as Record<string, string>

describe('a delivery', () => {
  it('is signed as Standard Webhooks says, so that standardwebhooks and svix take it', async () => {
    const { secret } = await endpoint(ada, shop, { headers: { 'X-Api-Key': 'customer key' } })
    const { id } = await send({ id: 'o1', note: 'ü €' })
    await app.jobs.drain()
    const [got] = shop.received
    const read = (Client: typeof Webhook | typeof SvixWebhook, body: string): unknown =>
      atTimeOf(app, () => new Client(secret.secret).verify(body, headersOf(got!)))
    expect(read(Webhook, got!.body)).toMatchObject({ type: 'order.placed' })
    expect(() => read(SvixWebhook, got!.body)).not.toThrow()
    expect(JSON.parse(got!.body)).toMatchObject({ data: { id: 'o1', note: 'ü €' } })
    expect(() => read(Webhook, `${got!.body} `)).toThrow('No matching signature')
    expect(got!.headers).toMatchObject({
      'webhook-id': id,
      'content-type': 'application/json',
      'user-agent': 'tsforge-webhooks',
      'x-api-key': 'customer key',
    })
    expect(Object.keys(JSON.parse(got!.body) as object)).toEqual(['type', 'timestamp', 'data'])
  })

  it("in Stripe's form is taken by stripe", async () => {
    const { secret } = await endpoint(ada, shop, { signature: 'timestamped' })
    await send()
    await app.jobs.drain()
    const { body, headers } = shop.received[0]!
    const { webhooks } = new Stripe('sk_test_x')
    const signature = headers['webhook-signature'] as string
    const event = atTimeOf(app, () => webhooks.constructEvent(body, signature, secret.secret))
    expect(event.type).toBe('order.placed')
  })

  it('is signed with a pair of keys where the endpoint asks for one, and shows no private key', async () => {
    const made = await endpoint(ada, shop, { signature: 'standard_ed25519' })
    expect(made.secret).toMatchObject({ secret: null, public_key: expect.stringMatching(/^whpk_/) as string })
    await send()
    await app.jobs.drain()
    const { body, headers } = shop.received[0]!
    const key = standard.key(made.secret.public_key!)
    expect(standard.verify(key, { headers, body, nowMs: app.clock.now() })).toMatchObject({ ok: true })
  })

  it('is a CloudEvent where the endpoint asks for one, without what is of the app alone', async () => {
    await endpoint(ada, shop, { format: 'cloudevents' })
    const { id } = await send()
    await app.jobs.drain()
    const { body, headers } = shop.received[0]!
    expect(headers['content-type']).toBe('application/cloudevents+json; charset=utf-8')
    expect(JSON.parse(body)).toEqual({
      specversion: '1.0',
      id,
      source: '/test',
      type: 'order.placed',
      time: expect.any(String) as string,
      datacontenttype: 'application/json',
      data: { id: 'o1' },
      dataversion: 1,
      tenantid: tenantId,
    })
  })

  it('can be looked at in each form that was sent', async () => {
    const { id } = await endpoint(ada, shop)
    await endpoint(ada, shop, { format: 'cloudevents', url: `${shop.url}/cloud` })
    await send()
    await app.jobs.drain()
    const [delivery] = await deliveries(ada, id)
    const message = await ada.get(`/api/v1/webhooks/messages/${delivery!.message_id}`)
    const sent = (path: string): string | undefined => shop.received.find((each) => each.path === path)?.body
    expect(message.body.data).toMatchObject({ body: sent('/hooks'), cloud_event: sent('/hooks/cloud') })
  })

  it('goes to those who asked for its kind, in its own tenant', async () => {
    const bob = await app.register()
    const mine = await endpoint(ada, shop, { url: `${shop.url}/exact`, events: ['order.placed'] })
    await endpoint(ada, shop, { url: `${shop.url}/family`, events: ['order.*'] })
    await endpoint(ada, shop, { url: `${shop.url}/all` })
    await endpoint(ada, shop, { url: `${shop.url}/other`, events: ['user.*'] })
    await endpoint(ada, shop, { url: `${shop.url}/disabled`, enabled: false })
    await endpoint(bob, shop, { url: `${shop.url}/bob` })
    expect(await send()).toMatchObject({ deliveries: 3 })
    await app.jobs.drain()
    expect(shop.received.map(({ path }) => path).toSorted()).toEqual(['/hooks/all', '/hooks/exact', '/hooks/family'])
    expect(await deliveries(ada, mine.id)).toMatchObject([{ state: 'succeeded', attempts: 1, last_status: 204 }])
  })

  it('happens once however often, and from however many sides at once, the event comes', async () => {
    const { id } = await endpoint(ada, shop)
    expect((await send({ id: 'o1' }, 'evt-1')).deliveries).toBe(1)
    expect((await send({ id: 'o1' }, 'evt-1')).deliveries).toBe(0)
    await app.jobs.drain()
    expect((await send({ id: 'o1' }, 'evt-1')).deliveries).toBe(0)
    const all = await Promise.all(Array.from({ length: 50 }, () => send({ id: 'o2' }, 'evt-2')))
    expect(all.reduce((sum, sent) => sum + sent.deliveries, 0)).toBe(1)
    await app.jobs.drain()
    expect(shop.received.map(({ headers }) => headers['webhook-id'])).toEqual(['evt-1', 'evt-2'])
    expect(await deliveries(ada, id)).toHaveLength(2)
  })

  it('does not exist when its transaction is rolled back', async () => {
    const { id } = await endpoint(ada, shop)
    const away = new Error('away')
    await expect(
      app.db.tx(async (tx) => {
        expect((await app.get(webhooksPort).send(tx, { tenantId, type: 'order.placed', data: {} })).deliveries).toBe(1)
        throw away
      }),
    ).rejects.toBe(away)
    expect(await app.jobs.drain()).toBe(0)
    expect(await deliveries(ada, id)).toEqual([])
    expect((await ada.get<{ items: unknown[] }>('/api/v1/webhooks/messages')).body.data.items).toEqual([])
  })

  it('is tried again on the schedule, with the same bytes and a fresh signature, until it is given up', async () => {
    const { id, secret } = await endpoint(ada, shop)
    says(
      shop,
      500,
      { 'x-secret-token': 'abc', 'content-type': 'text/plain' },
      `no: ${secret.secret} \0 Bearer abcdefghijkl`,
    )
    await send()
    await app.jobs.drain()
    const waits = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400]
    for (const [tried, wait] of waits.entries()) {
      const [delivery] = await deliveries(ada, id)
      expect(delivery).toMatchObject({ state: 'pending', attempts: tried + 1, last_status: 500 })
      const due = Date.parse(delivery!.next_at!) - app.clock.now()
      expect(due).toBeGreaterThanOrEqual(wait * 1000 - 1)
      expect(due).toBeLessThanOrEqual(wait * 2000 + 1)
      app.clock.jump(app.clock.now() + due)
      await app.jobs.drain()
    }
    const [delivery] = await deliveries(ada, id)
    expect(delivery).toMatchObject({ state: 'failed', attempts: 10, last_status: 500 })
    expect(new Set(shop.received.map(({ body }) => body)).size).toBe(1)
    expect(new Set(shop.received.map(({ headers }) => headers['webhook-id'])).size).toBe(1)
    expect(new Set(shop.received.map(({ headers }) => headers['webhook-signature'])).size).toBe(10)
    const log = await ada.get<{ items: Record<string, unknown>[] }>(
      `/api/v1/webhooks/deliveries/${delivery!.id}/attempts?sort=id`,
    )
    const [first] = log.body.data.items
    expect(log.body.data.items).toHaveLength(10)
    expect(first).toMatchObject({
      number: 1,
      ok: false,
      status: 500,
      error: null,
      address: '127.0.0.1',
      url: shop.url,
      request_headers: { 'webhook-signature': '[redacted]', 'user-agent': 'tsforge-webhooks' },
      response_headers: { 'x-secret-token': '[redacted]', 'content-type': 'text/plain' },
      response_body: 'no: [redacted] \u{FFFD} [redacted]',
      response_clipped: false,
    })
    expect(log.text).not.toContain(secret.secret)
  })

  it('waits as long as Retry-After says, and the endpoint has its rest meanwhile', async () => {
    const { id } = await endpoint(ada, shop)
    says(shop, 429, { 'retry-after': '120' })
    await send()
    await app.jobs.drain()
    const [delivery] = await deliveries(ada, id)
    const due = Date.parse(delivery!.next_at!) - app.clock.now()
    expect(due).toBeGreaterThanOrEqual(120_000)
    expect(due).toBeLessThanOrEqual(125_000)
    says(shop, 204)
    await send({ id: 'o2' })
    await app.jobs.drain()
    expect(shop.received).toHaveLength(1)
    app.clock.jump(app.clock.now() + 130_000)
    await app.jobs.drain()
    expect((await deliveries(ada, id)).map(({ state, attempts }) => [state, attempts])).toEqual([
      ['succeeded', 1],
      ['succeeded', 2],
    ])
  })

  it('follows no redirect, and takes nothing but 2xx for success', async () => {
    const { id } = await endpoint(ada, shop)
    for (const status of [301, 302, 307, 308, 304, 400, 404]) {
      says(shop, status, { location: `http://127.0.0.1:${shop.port}/elsewhere` })
      await send({ id: status }, `evt-${status}`)
      await app.jobs.drain()
    }
    expect(shop.received.every(({ path }) => path === '/hooks')).toBe(true)
    expect(new Set((await deliveries(ada, id)).map(({ state }) => state))).toEqual(new Set(['pending']))
  })

  it('reads no more of an answer than it keeps', async () => {
    const { id } = await endpoint(ada, shop)
    let sent = 0
    shop.answer = (_, response) => {
      response.writeHead(200)
      const piece = 'x'.repeat(65_536)
      const more = (): void => {
        while (!response.destroyed && sent < 256 * 1024 * 1024) {
          sent += piece.length
          if (!response.write(piece)) return void response.once('drain', more)
        }
      }
      more()
    }
    await send()
    await app.jobs.drain()
    expect(sent).toBeLessThan(64 * 1024 * 1024)
    const [delivery] = await deliveries(ada, id)
    const log = await ada.get<{ items: { response_body: string; response_clipped: boolean }[] }>(
      `/api/v1/webhooks/deliveries/${delivery!.id}/attempts`,
    )
    expect(log.body.data.items[0]!.response_body).toHaveLength(16_384)
    expect(log.body.data.items[0]!.response_clipped).toBe(true)
    expect(delivery!.state).toBe('succeeded')
  })

  it('that gets no answer in time has failed, and keeps no other endpoint waiting', async () => {
    const slow = await endpoint(ada, shop, { url: `${shop.url}/slow` })
    const quick = await endpoint(ada, shop)
    const arrived = Promise.withResolvers<void>()
    shop.answer = ({ path }, response) => (path === '/hooks' ? response.writeHead(204).end() : arrived.resolve())
    await send()
    const drained = app.jobs.drain()
    await arrived.promise
    while ((await deliveries(ada, quick.id))[0]?.state !== 'succeeded') await new Promise(setImmediate)
    await app.clock.advance(15_000)
    await drained
    expect(await deliveries(ada, slow.id)).toMatchObject([{ state: 'pending', last_error: 'egress.timeout' }])
  })

  it('is signed with the new secret on the next attempt, and with both while they overlap', async () => {
    const made = await endpoint(ada, shop)
    says(shop, 500)
    await send()
    await app.jobs.drain()
    const rotated = await ada.post<EndpointBody['secret']>(`/api/v1/webhooks/endpoints/${made.id}/secret/rotate`, {
      overlap_seconds: 3600,
    })
    const fresh = rotated.body.data.secret
    app.clock.jump(app.clock.now() + 10_000)
    await app.jobs.drain()
    const [before, during] = shop.received
    expect(before!.headers['webhook-signature']).toMatch(/^v1,\S+$/)
    expect(during!.headers['webhook-signature']).toMatch(/^v1,\S+ v1,\S+$/)
    for (const secret of [fresh, made.secret.secret])
      expect(standard.verify(standard.key(secret), { ...during!, nowMs: app.clock.now() })).toMatchObject({ ok: true })
    // The newest stands first.
    const alone = {
      ...during!.headers,
      'webhook-signature': String(during!.headers['webhook-signature']).split(' ')[0],
    }
    expect(
      standard.verify(standard.key(fresh), { body: during!.body, headers: alone, nowMs: app.clock.now() }).ok,
    ).toBe(true)
    const listed = await ada.get<{ items: unknown[] }>(`/api/v1/webhooks/endpoints/${made.id}/secret`)
    expect(listed.body.data.items).toMatchObject([{ secret: fresh, until: null }, { secret: made.secret.secret }])
    app.clock.jump(app.clock.now() + 3_600_000)
    await app.jobs.drain()
    const after = shop.received.at(-1)!
    expect(shop.received).toHaveLength(3)
    expect(after.headers['webhook-signature']).toMatch(/^v1,\S+$/)
    expect(standard.verify(standard.key(made.secret.secret), { ...after, nowMs: app.clock.now() }).ok).toBe(false)
    expect(standard.verify(standard.key(fresh), { ...after, nowMs: app.clock.now() }).ok).toBe(true)
  })
})
