import { createServer } from 'node:http'
import { connect } from 'node:net'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import type { TLSSocket } from 'node:tls'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { eventsPort } from '../../../primitives/events/index.ts'
import type { Events, RunningEvents } from '../../../primitives/events/index.ts'
import { jobsPort } from '../../../primitives/jobs/index.ts'
import { cert as otherCert, key as otherKey } from '../../../primitives/egress/tests/certificate.ts'
import type { TestApp } from '../../../testing/app.ts'
import { mend, sweep } from '../sweep.ts'
import { deliverWebhook } from '../index.ts'
import { cert, key } from './certificate.ts'
import {
  anew,
  customer,
  deliveries,
  endpoint,
  orderPlaced,
  orderShipped,
  ownerOf,
  says,
  secretEvent,
  tenantOf,
  webhookApp,
} from './setup.ts'
import type { Customer, Owner } from './setup.ts'

let shop: Customer
let app: TestApp
let ada: Owner
let tenantId: string
beforeAll(async () => {
  shop = await customer()
  app = await webhookApp([shop], { env: { FORGE_WEBHOOKS_BODY_LIMIT: '1kb' } })
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

const events = (): Events => app.get(eventsPort)
/** What a running app does by itself. */
async function carry(): Promise<void> {
  const dispatcher = (events() as RunningEvents).worker.another()
  await dispatcher.runUntilIdle()
  await dispatcher.stop()
  await app.jobs.drain()
}

describe('events of the log', () => {
  it('are sent exactly if their transaction commits, once, and to their tenant alone', async () => {
    const bob = await ownerOf(app)
    const mine = await endpoint(ada, shop)
    await endpoint(bob, shop, { url: `${shop.url}/bob` })
    await carry()
    await expect(
      app.db.tx(async (tx) => {
        await events().emit(tx, orderPlaced, { id: 'never' }, { tenantId })
        throw new Error('away')
      }),
    ).rejects.toThrow('away')
    const { id } = await events().emit(app.db, orderPlaced, { id: 'o1' }, { tenantId })
    await events().emit(app.db, orderPlaced, { id: 'nobody' }, { tenantId: null })
    await events().emit(app.db, secretEvent, { id: 'internal' }, { tenantId })
    await carry()
    await carry()
    expect(shop.received).toHaveLength(1)
    expect(shop.received[0]).toMatchObject({ path: '/hooks', headers: { 'webhook-id': id } })
    expect(JSON.parse(shop.received[0]!.body)).toMatchObject({ type: 'order.placed', data: { id: 'o1' } })
    expect(await deliveries(ada, mine.id)).toMatchObject([{ event_id: id, state: 'succeeded' }])
  })

  it('that are too large to be sent hold up none behind them', async () => {
    await endpoint(ada, shop)
    await carry()
    await events().emit(app.db, orderShipped, { id: 'x'.repeat(2000) }, { tenantId })
    await events().emit(app.db, orderPlaced, { id: 'o2' }, { tenantId })
    await carry()
    expect(shop.received.map(({ body }) => (JSON.parse(body) as { data: unknown }).data)).toEqual([{ id: 'o2' }])
    expect(app.logged).toContainEqual(
      expect.objectContaining({ msg: 'an event is too large to be sent as a webhook', type: 'order.shipped' }),
    )
  })

  it('tell other endpoints of the tenant when one was disabled by itself', async () => {
    const bad = await endpoint(ada, shop, { events: ['order.*'], url: `${shop.url}/bad` })
    await endpoint(ada, shop, { events: ['webhook.endpoint_disabled'], url: `${shop.url}/office` })
    await carry()
    shop.answer = ({ path }, response) => response.writeHead(path === '/hooks/bad' ? 410 : 204).end()
    await events().emit(app.db, orderPlaced, { id: 'o1' }, { tenantId })
    await carry()
    await carry()
    expect(shop.received.map(({ path }) => path)).toEqual(['/hooks/bad', '/hooks/office'])
    expect(JSON.parse(shop.received[1]!.body)).toMatchObject({ data: { endpoint_id: bad.id, reason: 'gone' } })
  })
})

/** The endpoint of a delivery whose first attempt was answered 500. */
async function refusedOnce(): Promise<string> {
  const { id } = await endpoint(ada, shop)
  await carry()
  says(shop, 500)
  await events().emit(app.db, orderPlaced, { id: 'o1' }, { tenantId })
  await carry()
  return id
}

describe('time', () => {
  it('takes messages away after their retention, but none that is still on its way', async () => {
    const { id } = await endpoint(ada, shop)
    await carry()
    await events().emit(app.db, orderPlaced, { id: 'o1' }, { tenantId })
    await carry()
    says(shop, 500)
    await events().emit(app.db, orderPlaced, { id: 'o2' }, { tenantId })
    await carry()
    const counted = { add: () => {} }
    const parts = {
      db: app.db,
      jobs: app.get(jobsPort),
      clock: app.clock,
      retentionMs: 30 * 86_400_000,
      swept: counted,
    }
    expect(await sweep(parts)).toBe(0)
    app.clock.jump(app.clock.now() + 31 * 86_400_000)
    expect(await sweep(parts)).toBe(1)
    expect(await deliveries(ada, id)).toMatchObject([{ state: 'pending' }])
    const { rows } = await app.db.query('select 1 from forge_webhooks_attempts')
    expect(rows).toHaveLength(1)
  })

  it('gives a delivery a new job when somebody has taken its own away', async () => {
    const id = await refusedOnce()
    const [job] = await app.jobs.expectEnqueued(deliverWebhook, { tenantId })
    await app.get(jobsPort).cancel(job!.id)
    app.clock.jump(app.clock.now() + 2 * 86_400_000)
    says(shop, 204)
    await app.jobs.drain()
    expect(await deliveries(ada, id)).toMatchObject([{ state: 'pending', attempts: 1 }])
    const counted = { add: () => {} }
    await sweep({ db: app.db, jobs: app.get(jobsPort), clock: app.clock, retentionMs: 30 * 86_400_000, swept: counted })
    await app.jobs.drain()
    expect(await deliveries(ada, id)).toMatchObject([{ state: 'succeeded', attempts: 2 }])
  })

  it('begins nothing anew that was sent while it looked for what is lost', async () => {
    const id = await refusedOnce()
    app.clock.jump(app.clock.now() + 2 * 86_400_000)
    says(shop, 204)
    const jobs = app.get(jobsPort)
    const get = jobs.get.bind(jobs)
    const looked = vi.spyOn(jobs, 'get').mockImplementationOnce(async (job) => {
      await app.jobs.drain()
      return get(job)
    })
    await mend({ db: app.db, jobs, clock: app.clock })
    expect(looked).toHaveBeenCalledOnce()
    looked.mockRestore()
    expect(await deliveries(ada, id)).toMatchObject([{ state: 'succeeded', attempts: 2 }])
    expect(await app.jobs.drain()).toBe(0)
  })
})

it('finds a lost job behind a thousand deliveries that wait rightly', async () => {
  const { id } = await endpoint(ada, shop)
  says(shop, 500)
  await events().emit(app.db, orderPlaced, { id: 'o1' }, { tenantId })
  await carry()
  await app.db.query(
    `with rows as (select n, gen_random_uuid() as id from generate_series(1, 1200) n),
       sent as (insert into forge_webhooks_messages (id, tenant_id, event_id, type, body, created_at)
         select id, $1, 'e' || n, 'order.placed', '{}', '2020-01-01' from rows)
     insert into forge_webhooks_deliveries (id, tenant_id, endpoint_id, message_id, format, state, job_id, created_at)
     select id, $1, $2, id, 'standard', 'pending', case when n < 1200 then (select min(job_id) from forge_webhooks_deliveries) end,
       '2020-01-01' from rows order by n`,
    [tenantId, id],
  )
  await mend({ db: app.db, jobs: app.get(jobsPort), clock: app.clock })
  const { rows } = await app.db.query(
    `select m.event_id, d.job_id is null as lost from forge_webhooks_deliveries d join forge_webhooks_messages m on m.id = d.message_id
     where m.event_id = 'e1200'`,
  )
  expect(rows).toEqual([{ event_id: 'e1200', lost: false }])
})

it('leads all attempts through the proxy where there is one', async () => {
  const asked: string[] = []
  const proxy = createServer().on('connect', (request, socket, head) => {
    asked.push(`${request.headers['proxy-authorization']} ${request.url}`)
    const behind = connect(shop.port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection Established\r\n\r\n')
      behind.write(head)
      behind.pipe(socket).pipe(behind)
    })
    for (const end of [socket, behind]) end.on('error', () => behind.destroy())
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  try {
    const { port } = proxy.address() as AddressInfo
    await using led = await webhookApp([shop], {
      env: { FORGE_EGRESS_PROXY: `http://user:word@127.0.0.1:${port}` },
    })
    const owner = await ownerOf(led)
    const { id } = await endpoint(owner, shop)
    await owner.post(`/api/v1/webhooks/endpoints/${id}/test`)
    await led.jobs.drain()
    expect(asked).toEqual([`Basic ${Buffer.from('user:word').toString('base64')} 127.0.0.1:${shop.port}`])
    expect(shop.received).toHaveLength(1)
    const [delivery] = await deliveries(owner, id)
    const log = await owner.get(`/api/v1/webhooks/deliveries/${delivery!.id}/attempts`)
    expect(log.body.data).toMatchObject({ items: [{ ok: true, address: null }] })
  } finally {
    proxy.closeAllConnections()
    proxy.close()
  }
})

it('shows its certificate to endpoints, and trusts those of its own authority alone', async () => {
  const authorized: unknown[] = []
  await using bank = await customer({ cert, key, ca: cert, requestCert: true, rejectUnauthorized: true })
  await using impostor = await customer({ cert: otherCert, key: otherKey })
  bank.answer = (_, response) => {
    authorized.push((response.socket as TLSSocket).authorized)
    response.writeHead(204).end()
  }
  const env = { FORGE_EGRESS_SCHEMES: 'https', FORGE_WEBHOOKS_CERTIFICATE: cert, FORGE_WEBHOOKS_CERTIFICATE_KEY: key }
  await using own = await webhookApp([bank, impostor], { env: { ...env, FORGE_WEBHOOKS_CERTIFICATE_AUTHORITY: cert } })
  const owner = await ownerOf(own)
  const trusted = await endpoint(owner, bank)
  const other = await endpoint(owner, impostor)
  for (const { id } of [trusted, other]) await owner.post(`/api/v1/webhooks/endpoints/${id}/test`)
  await own.jobs.drain()
  expect(authorized).toEqual([true])
  expect(await deliveries(owner, trusted.id)).toMatchObject([{ state: 'succeeded', last_status: 204 }])
  expect(await deliveries(owner, other.id)).toMatchObject([{ state: 'pending', last_error: 'egress.tls_failed' }])
  expect(impostor.received).toEqual([])
  for (const [wrong, code] of [
    [{ FORGE_WEBHOOKS_CERTIFICATE: cert }, 'webhooks.certificate_incomplete'],
    [{ ...env, FORGE_WEBHOOKS_CERTIFICATE_KEY: otherKey }, 'webhooks.certificate_invalid'],
    [{ ...env, FORGE_WEBHOOKS_CERTIFICATE: 'no PEM' }, 'webhooks.certificate_invalid'],
  ] as const)
    await expect(webhookApp([bank], { env: wrong })).rejects.toMatchObject({ code })
})
