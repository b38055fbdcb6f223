import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { TestApp } from '../../../testing/app.ts'
import { webhooksPort } from '../index.ts'
import { anew, customer, deliveries, endpoint, says, ownerOf, tenantOf, webhookApp } from './setup.ts'
import type { Owner, Customer, EndpointBody } from './setup.ts'

const url = '/api/v1/webhooks/endpoints'
let shop: Customer
let app: TestApp
let ada: Owner
beforeAll(async () => {
  shop = await customer()
  app = await webhookApp([shop], { env: { FORGE_WEBHOOKS_ENDPOINTS: '3' } })
})
beforeEach(async () => {
  await anew(app, shop)
  ada = await ownerOf(app)
})
afterAll(async () => {
  await app[Symbol.asyncDispose]()
  await shop[Symbol.asyncDispose]()
})
const send = async (id: string): Promise<unknown> =>
  app.get(webhooksPort).send(app.db, { tenantId: await tenantOf(ada), type: 'order.placed', data: { id }, id })

describe('endpoints', () => {
  it('are made, read, changed by their version, and deleted', async () => {
    const made = await endpoint(ada, shop, { headers: { 'X-Key': 'value' }, metadata: { plan: 'pro' } })
    const one = await ada.get(`${url}/${made.id}`)
    expect(one.body.data).toMatchObject({ header_names: ['x-key'], metadata: { plan: 'pro' }, rate: null, version: 1 })
    expect(one.text).not.toContain('value')
    expect(one.text).not.toContain('whsec_')
    const changed = await ada.patch(
      `${url}/${made.id}`,
      { rate: 5, description: 'mine' },
      { headers: { 'if-match': one.headers['etag']! } },
    )
    expect(changed).toMatchObject({ status: 200, body: { data: { rate: 5, description: 'mine', version: 2 } } })
    const stale = { headers: { 'if-match': one.headers['etag']! } }
    expect((await ada.patch(`${url}/${made.id}`, { rate: null }, stale)).status).toBe(412)
    expect((await ada.delete(`${url}/${made.id}`, stale)).status).toBe(412)
    expect((await ada.delete(`${url}/${made.id}`)).status).toBe(204)
    expect((await ada.get(`${url}/${made.id}`)).status).toBe(404)
    expect((await ada.get<{ items: unknown[] }>(url)).body.data.items).toEqual([])
  })

  it('are paged, and as many as a tenant may have, also when they come at once', async () => {
    const asked = await Promise.all(
      Array.from({ length: 6 }, () => ada.post(url, { url: shop.url, events: ['order.placed'] })),
    )
    expect(asked.filter(({ status }) => status === 201)).toHaveLength(3)
    expect(asked.filter(({ body }) => body.error?.code === 'webhooks.too_many_endpoints')).toHaveLength(3)
    const first = await ada.get<{ items: { id: string }[]; page: { next_cursor: string } }>(`${url}?limit=2`)
    const rest = await ada.get<{ items: { id: string }[] }>(`${url}?limit=2&cursor=${first.body.data.page.next_cursor}`)
    const ids = [...first.body.data.items, ...rest.body.data.items].map(({ id }) => id)
    expect(new Set(ids).size).toBe(3)
  })

  it('never lead where they must not', async () => {
    const made = await endpoint(ada, shop)
    const { port } = shop
    const hostile = [
      [`http://127.0.0.2:${port}/x`, 'egress.address_refused'],
      [`http://169.254.169.254:${port}/latest/`, 'egress.address_refused'],
      [`http://2852039166:${port}/`, 'egress.address_refused'],
      [`http://0xa9.0xfe.0xa9.0xfe:${port}/`, 'egress.address_refused'],
      [`http://[::ffff:10.0.0.1]:${port}/`, 'egress.address_refused'],
      [`http://[::1]:${port}/`, 'egress.address_refused'],
      ['http://127.0.0.1:22/', 'egress.port_refused'],
      [`https://127.0.0.1:${port}/`, 'egress.scheme_refused'],
      [`ftp://127.0.0.1:${port}/`, 'egress.scheme_refused'],
      ['file:///etc/passwd', 'egress.url_invalid'],
      [`http://a:b@127.0.0.1:${port}/`, 'egress.url_invalid'],
      ['hooks', 'egress.url_invalid'],
    ] as const
    for (const [to, code] of hostile) {
      const refused = { status: 422, body: { error: { code } } }
      expect(await ada.post(url, { url: to, events: ['*'] }), to).toMatchObject(refused)
      expect(await ada.patch(`${url}/${made.id}`, { url: to }), to).toMatchObject(refused)
    }
    expect((await ada.get(`${url}/${made.id}`)).body.data).toMatchObject({ url: shop.url, version: 1 })
  })

  it('are not called where they must not be, even if one got into the table', async () => {
    const made = await endpoint(ada, shop)
    await app.db.query(`update forge_webhooks_endpoints set url = 'http://127.0.0.2:${shop.port}/'`)
    await send('o1')
    await app.jobs.drain()
    expect(shop.received).toEqual([])
    expect(await deliveries(ada, made.id)).toMatchObject([{ state: 'pending', last_error: 'egress.address_refused' }])
  })

  it('refuse what cannot be', async () => {
    const wrong = [
      [{ events: ['order.lost'] }, 'webhooks.event_type_unknown'],
      [{ events: ['or*'] }, 'webhooks.event_type_unknown'],
      [{ events: ['*.placed'] }, 'webhooks.event_type_unknown'],
      [{ headers: { Host: 'x' } }, 'egress.header_invalid'],
      [{ headers: { 'x-a': 'b\r\nc: d' } }, 'egress.header_invalid'],
      [{ headers: { 'Webhook-Signature': 'x' } }, 'webhooks.header_reserved'],
      [{ headers: { 'content-type': 'x' } }, 'webhooks.header_reserved'],
      [{ secret: 'whsec_short' }, 'webhooks.secret_invalid'],
      [{ secret: 'whsk_AAAA' }, 'webhooks.secret_invalid'],
      [{ metadata: { a: 'x'.repeat(9000) } }, 'webhooks.metadata_too_large'],
      [{ events: [] }, 'http.validation_failed'],
      [{ rate: 0 }, 'http.validation_failed'],
    ] as const
    for (const [more, code] of wrong)
      expect(await ada.post(url, { url: shop.url, events: ['*'], ...more }), JSON.stringify(more)).toMatchObject({
        status: 422,
        body: { error: { code } },
      })
  })

  it('keep secrets and headers sealed at rest', async () => {
    const { secret } = await endpoint(ada, shop, { headers: { 'x-key': 'customer key' } })
    const { rows } = await app.db.query('select * from forge_webhooks_endpoints')
    const text = JSON.stringify(rows)
    expect(text).not.toContain(secret.secret.slice(6))
    expect(text).not.toContain('customer key')
  })

  it('end earlier secrets at once where a rotation says so, and keep five at most', async () => {
    const given = `whsec_${Buffer.alloc(32, 7).toString('base64')}`
    const { id, secret } = await endpoint(ada, shop, { secret: given })
    expect(secret.secret).toBe(given)
    for (let n = 0; n < 4; n++) expect((await ada.post(`${url}/${id}/secret/rotate`, {})).status).toBe(200)
    expect(await ada.post(`${url}/${id}/secret/rotate`, {})).toMatchObject({
      body: { error: { code: 'webhooks.too_many_secrets' } },
    })
    expect((await ada.post(`${url}/${id}/secret/rotate`, { overlap_seconds: 0 })).status).toBe(200)
    const { body } = await ada.get<{ items: EndpointBody['secret'][] }>(`${url}/${id}/secret`)
    expect(body.data.items).toHaveLength(1)
  })

  it('list the kinds of events that they may ask for', async () => {
    const { body } = await ada.get<{ items: { type: string; description: string | null }[] }>(
      '/api/v1/webhooks/event-types',
    )
    expect(body.data.items.map(({ type }) => type)).toEqual([
      'order.placed',
      'order.shipped',
      'user.added',
      'webhook.endpoint_disabled',
      'webhook.test',
    ])
    expect(body.data.items[0]).toMatchObject({ description: 'Somebody has bought something', schema: null })
    expect(body.data.items[3]).toMatchObject({ schema: { type: 'object' } })
  })

  it('are tried out with an event of their own, whatever they ask for', async () => {
    const { id } = await endpoint(ada, shop, { events: ['user.added'] })
    await endpoint(ada, shop, { url: `${shop.url}/other` })
    const tried = await ada.post<{ id: string }>(`${url}/${id}/test`)
    expect(tried).toMatchObject({ status: 201, body: { data: { type: 'webhook.test', state: 'pending' } } })
    await app.jobs.drain()
    expect(shop.received.map(({ path }) => path)).toEqual(['/hooks'])
    expect(JSON.parse(shop.received[0]!.body)).toMatchObject({ type: 'webhook.test', data: { endpoint_id: id } })
    await ada.patch(`${url}/${id}`, { enabled: false })
    expect((await ada.post(`${url}/${id}/test`)).status).toBe(409)
  })

  it('that are disabled or deleted end their deliveries instead of trying until they are dead', async () => {
    const { id } = await endpoint(ada, shop)
    const gone = await endpoint(ada, shop)
    says(shop, 500)
    await send('o1')
    await app.jobs.drain()
    await ada.patch(`${url}/${id}`, { enabled: false })
    await ada.delete(`${url}/${gone.id}`)
    expect(await deliveries(ada, id)).toMatchObject([{ state: 'cancelled', attempts: 1 }])
    app.clock.jump(app.clock.now() + 86_400_000)
    await app.jobs.drain()
    expect(shop.received).toHaveLength(2)
    expect(await app.jobs.drain()).toBe(0)
    const { rows } = await app.db.query('select 1 from forge_jobs')
    expect(rows).toEqual([])
  })

  it('belong to a tenant: for others none of their routes finds anything', async () => {
    const { id } = await endpoint(ada, shop)
    await send('o1')
    await app.jobs.drain()
    const [delivery] = await deliveries(ada, id)
    const bob = await app.register()
    const since = new Date(0).toISOString()
    const asked = [
      await bob.get(`${url}/${id}`),
      await bob.patch(`${url}/${id}`, { enabled: false }),
      await bob.delete(`${url}/${id}`),
      await bob.get(`${url}/${id}/secret`),
      await bob.post(`${url}/${id}/secret/rotate`, {}),
      await bob.post(`${url}/${id}/test`),
      await bob.get(`${url}/${id}/deliveries`),
      await bob.get(`${url}/${id}/stats`),
      await bob.post(`${url}/${id}/recover`, { since }),
      await bob.post(`${url}/${id}/replay`, { since, preview: true }),
      await bob.get(`/api/v1/webhooks/deliveries/${delivery!.id}`),
      await bob.get(`/api/v1/webhooks/deliveries/${delivery!.id}/attempts`),
      await bob.post(`/api/v1/webhooks/deliveries/${delivery!.id}/resend`),
      await bob.get(`/api/v1/webhooks/messages/${delivery!.message_id}`),
      await bob.get(`/api/v1/webhooks/messages/${delivery!.message_id}/deliveries`),
    ]
    expect(asked.map(({ status }) => status)).toEqual(asked.map(() => 404))
    for (const list of [url, '/api/v1/webhooks/messages'])
      expect((await bob.get<{ items: unknown[] }>(list)).body.data.items).toEqual([])
    // Nothing of it happened.
    expect((await ada.get(`${url}/${id}`)).body.data).toMatchObject({ enabled: true, version: 1 })
    const theirs = { tenant: await tenantOf(ada) }
    expect((await bob.get(`${url}/${id}`, theirs)).status).toBe(403)
    expect((await bob.post(url, { url: shop.url, events: ['*'] }, theirs)).status).toBe(403)
    expect((await app.client.get(url)).status).toBe(401)
  })
})
