import { randomUUID } from 'node:crypto'
import { Webhook } from 'svix'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { currentContext } from '../../../kernel/context.ts'
import { dbPort } from '../../../primitives/db/index.ts'
import { Discard, jobsPort } from '../../../primitives/jobs/index.ts'
import * as signatures from '../../../primitives/signatures/index.ts'
import { newStandardSecret } from '../../../primitives/signatures/index.ts'
import { webhookDead } from '../events.ts'
import { defineWebhookSource } from '../source.ts'
import type { WebhookSource } from '../source.ts'
import { standard, stripe, github } from '../verifiers.ts'
import { openLab, sender, signed } from './setup.ts'
import type { Lab } from './setup.ts'

const secret = newStandardSecret()
const shared = 'a secret that two sides share'
const body = '{"type":"order.placed",  "note":"größer ✓"}'

// One app for all: starting one takes longer than any of the tests.
let lab: Lab
/** What each test makes of its deliveries. */
let handle: WebhookSource['handler']
let valid: readonly string[] = [secret]
beforeAll(async () => {
  const handler: WebhookSource['handler'] = (delivery, call) => handle(delivery, call)
  lab = await openLab(
    [
      { name: 'orders', verifier: standard(), secrets: [secret], maxAttempts: 2, handler },
      { name: 'tenants', verifier: standard(), perTenant: true, secrets: async () => [secret], handler },
      { name: 'rotating', verifier: standard(), secrets: () => valid, handler },
      { name: 'without', verifier: standard(), secrets: [], handler },
      { name: 'later', verifier: standard(), secrets: () => [], handler },
      { name: 'stripe', verifier: stripe(), secrets: [shared], events: ['invoice.*', 'customer.created'], handler },
      { name: 'issues', verifier: github(), secrets: [shared], events: ['issues.**', 'push'], handler },
      { name: 'github', verifier: github(), secrets: [shared], handler },
    ],
    { FORGE_WEBHOOKS_IN_RETENTION: '2d', FORGE_WEBHOOKS_IN_MEMORY: '30d' },
  )
  await lab.app.db.query('create table effects (n int)')
})
beforeEach(async () => {
  handle = () => {}
  await lab.app.db.query('truncate forge_webhooks_in_deliveries, effects')
  await lab.app.db.query('delete from forge_jobs')
})
afterAll(() => lab?.[Symbol.asyncDispose]())

describe('a handler', () => {
  it('gets the bytes that came, as a job in the name of the app and the tenant of the address', async () => {
    const seen: unknown[] = []
    const tenant = randomUUID()
    handle = (delivery, call) => {
      const { actor, tenantId } = currentContext()!
      seen.push({ ...delivery, parsed: delivery.json(), attempt: call.attempt, actor: actor.kind, context: tenantId })
    }
    // Svix signs, as it does for its customers.
    const id = 'msg_2b1'
    const at = new Date(lab.app.clock.now())
    const headers = {
      'svix-id': id,
      'svix-timestamp': String(Math.floor(at.getTime() / 1000)),
      'svix-signature': new Webhook(secret).sign(id, at, body),
      authorization: 'Basic Zm9v',
      cookie: 'a=b',
      'x-api-key': 'k',
      'x-kept': 'yes',
      'content-type': 'text/x-odd; charset=utf-8',
    }
    expect(await sender(lab.app)(`tenants/${tenant}`, body, headers)).toMatchObject({ status: 202 })
    expect(seen).toEqual([])
    expect(await lab.app.jobs.drain()).toBe(1)
    expect(seen).toEqual([
      expect.objectContaining({
        source: 'tenants',
        tenantId: tenant,
        deliveryId: id,
        event: 'order.placed',
        body: Buffer.from(body),
        contentType: 'text/x-odd; charset=utf-8',
        parsed: { type: 'order.placed', note: 'größer ✓' },
        attempt: 1,
        actor: 'system',
        context: tenant,
        signedAt: new Date(Math.floor(at.getTime() / 1000) * 1000),
        receivedAt: at,
      }),
    ])
    const kept = (seen[0] as { headers: Record<string, string> }).headers
    expect(kept).toMatchObject({ 'x-kept': 'yes', 'svix-id': id })
    expect(Object.keys(kept)).not.toEqual(
      expect.arrayContaining([expect.stringMatching(/signature|authorization|cookie|api-key/)]),
    )
    const [record] = (await lab.service.list({ tenantId: tenant })).items
    expect(record).toMatchObject({ state: 'handled', attempts: 0, bytes: Buffer.byteLength(body) })
  })

  it('that fails is tried again; what `once` did is done once; then it is dead, and can be replayed', async () => {
    let failures = 3
    const ran: (string | undefined)[] = []
    handle = async (_, { once }) => {
      ran.push(
        await once(async (tx) => {
          await tx.query('insert into effects (n) values (1)')
          return 'done'
        }),
      )
      if (failures-- > 0) throw new TypeError('not today')
    }
    const db = lab.app.get(dbPort)
    const effects = async () => (await db.query('select * from effects')).rowCount
    await sender(lab.app)('orders', body, signed(lab.app, signatures.standard, secret, body))
    const state = async () => (await lab.service.list()).items[0]!
    await lab.app.jobs.drain({ failing: true })
    expect(await state()).toMatchObject({ state: 'pending', attempts: 1, error: 'TypeError' })
    await expect(lab.service.replay((await state()).id)).rejects.toMatchObject({ code: 'webhooks_in.delivery_open' })
    await lab.app.clock.advance(3_600_000)
    await lab.app.jobs.drain({ failing: true })
    expect(await state()).toMatchObject({ state: 'dead', attempts: 2, error: 'TypeError' })
    expect([ran, await effects()]).toEqual([['done', undefined], 1])

    // Two replays at once are one.
    const replays = await Promise.allSettled([1, 2].map(async () => lab.service.replay((await state()).id)))
    expect(replays.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
    await lab.app.jobs.drain({ failing: true })
    await lab.app.clock.advance(3_600_000)
    await lab.app.jobs.drain()
    expect(await state()).toMatchObject({ state: 'handled', error: null })
    expect(await effects()).toBe(1)
    // Handling a handled one again is what a replay of it asks for.
    await lab.service.replay((await state()).id)
    await lab.app.jobs.drain()
    expect([ran.at(-1), await effects()]).toEqual(['done', 2])
  })

  it('whose effect fails leaves nothing, and does it the next time', async () => {
    let fail = true
    handle = (_, { once }) =>
      once(async (tx) => {
        await tx.query('insert into effects (n) values (1)')
        if (fail) throw new Error('half done')
      })
    const db = lab.app.get(dbPort)
    await sender(lab.app)('orders', body, signed(lab.app, signatures.standard, secret, body))
    await lab.app.jobs.drain({ failing: true })
    expect((await db.query('select * from effects')).rowCount).toBe(0)
    fail = false
    await lab.app.clock.advance(3_600_000)
    await lab.app.jobs.drain()
    expect((await db.query('select * from effects')).rowCount).toBe(1)
  })

  it('that discards is dead at once', async () => {
    handle = () => {
      throw new Discard('nobody wants it')
    }
    await sender(lab.app)('orders', body, signed(lab.app, signatures.standard, secret, body))
    await lab.app.jobs.drain()
    expect((await lab.service.list({ state: 'dead' })).items).toMatchObject([{ attempts: 1, error: 'Discard' }])
  })
})

describe('secrets', () => {
  it('rotate without a restart: both hold while both are given', async () => {
    const [old, fresh] = [newStandardSecret(), newStandardSecret()]
    const status = async (by: string) =>
      (await sender(lab.app)('rotating', body, signed(lab.app, signatures.standard, by, body))).status
    const phases: number[][] = []
    for (const next of [[old], [fresh, old], [fresh]]) {
      valid = next
      phases.push([await status(old), await status(fresh)])
    }
    expect(phases).toEqual([
      [202, 401],
      [202, 202],
      [401, 202],
    ])
    valid = [secret]
  })

  it('that are missing are known to the app', async () => {
    expect(await lab.service.withoutSecret()).toEqual(['without', 'later'])
  })
})

describe('events', () => {
  it('that are not wanted get their 2xx and are forgotten', async () => {
    const status = async (type: string) => {
      const text = JSON.stringify({ id: randomUUID(), type })
      return (await sender(lab.app)('stripe', text, signed(lab.app, signatures.stripe, shared, text))).body['status']
    }
    const types = ['invoice.paid', 'customer.created', 'customer.deleted', 'invoice.item.added', 'xinvoice.paid']
    expect(await Promise.all(types.map(status))).toEqual(['accepted', 'accepted', 'ignored', 'ignored', 'ignored'])
    const push = JSON.stringify({ ref: 'refs/heads/main' })
    const headers = signed(lab.app, signatures.github, shared, push)
    expect((await sender(lab.app)('issues', push, { ...headers, 'x-github-event': 'ping' })).body['status']).toBe(
      'ignored',
    )
    expect((await sender(lab.app)('issues', push, { ...headers, 'x-github-event': 'push' })).body['status']).toBe(
      'accepted',
    )
    expect((await lab.service.list()).items).toHaveLength(3)
  })
})

describe('the API', () => {
  it('shows, pages and replays deliveries of the tenant to its owner, and to nobody else', async () => {
    const ada = await lab.app.register()
    const eve = await lab.app.register()
    const tenantOf = async (user: typeof ada) =>
      (await user.get<{ items: { id: string }[] }>('/api/v1/tenants')).body.data.items[0]!.id
    const tenant = await tenantOf(ada)
    const send = sender(lab.app)
    for (const text of [body, '\u0000{', 'third'])
      await send(`tenants/${tenant}`, text, signed(lab.app, signatures.standard, secret, text))
    await send(
      `tenants/${tenant}`,
      Buffer.from([255, 254, 0]),
      signatures.standard.sign(signatures.standard.key(secret), {
        id: 'bytes',
        timestamp: Math.floor(lab.app.clock.now() / 1000),
        body: Uint8Array.of(255, 254, 0),
      }),
    )
    const own = ada.with({ tenant })
    interface Page {
      readonly items: { readonly id: string; readonly delivery_id: string; readonly state: string }[]
      readonly page: { readonly next_cursor: string | null }
    }
    const first = (await own.get<Page>('/api/v1/webhooks-in/deliveries?limit=3')).body.data
    const rest = (await own.get<Page>(`/api/v1/webhooks-in/deliveries?limit=3&cursor=${first.page.next_cursor}`)).body
      .data
    expect([first.items.length, rest.items.length, rest.page.next_cursor]).toEqual([3, 1, null])
    expect(first.items[0]!.delivery_id).toBe('bytes')
    const url = `/api/v1/webhooks-in/deliveries/${first.items[0]!.id}`
    expect((await own.get(url)).body.data).toMatchObject({ body: '//4A', body_encoding: 'base64', bytes: 3 })
    expect((await own.get(`/api/v1/webhooks-in/deliveries/${rest.items[0]!.id}`)).body.data).toMatchObject({
      body,
      body_encoding: 'utf8',
      event: 'order.placed',
    })
    expect((await own.post(`${url}/replay`)).body.error.code).toBe('webhooks_in.delivery_open')
    await lab.app.jobs.drain()
    expect((await own.get<Page>('/api/v1/webhooks-in/deliveries?state=handled')).body.data.items).toHaveLength(4)
    expect((await own.post(`${url}/replay`)).status).toBe(204)
    expect(await lab.app.jobs.drain()).toBe(1)

    const other = eve.with({ tenant: await tenantOf(eve) })
    expect((await other.get<Page>('/api/v1/webhooks-in/deliveries')).body.data.items).toEqual([])
    expect((await other.get(url)).body.error.code).toBe('webhooks_in.delivery_unknown')
    expect((await other.post(`${url}/replay`)).status).toBe(404)
    expect((await lab.app.client.get('/api/v1/webhooks-in/deliveries')).status).toBe(401)
    expect((await eve.with({ tenant }).get('/api/v1/webhooks-in/deliveries')).status).toBe(403)
  })
})

describe('time', () => {
  it('takes handled deliveries away, and remembers ids whose signature never expires', async () => {
    handle = ({ source }) => {
      if (source === 'rotating') throw new Error('never')
    }
    const send = sender(lab.app)
    const captured = signed(lab.app, signatures.github, shared, body)
    await send('orders', body, signed(lab.app, signatures.standard, secret, body))
    await send('github', body, { ...captured, 'x-github-delivery': 'g1' })
    await send('rotating', body, signed(lab.app, signatures.standard, secret, body))
    await lab.app.jobs.drain({ failing: true })
    const github1 = (await lab.service.list({ source: 'github' })).items[0]!.id
    const names = async () =>
      (await lab.service.list()).items.map(({ source, state }) => `${source} ${state}`).toSorted()
    await lab.service.sweep()
    expect(await names()).toEqual(['github handled', 'orders handled', 'rotating pending'])
    lab.app.clock.jump(lab.app.clock.now() + 2 * 86_400_000 + 1)
    await lab.service.sweep()
    expect(await names()).toEqual(['rotating pending'])
    await expect(lab.service.get(github1)).rejects.toMatchObject({ code: 'webhooks_in.delivery_gone' })
    await expect(lab.service.replay(github1)).rejects.toMatchObject({ code: 'webhooks_in.delivery_gone' })
    for (const id of ['g1', 'g2'])
      expect((await send('github', body, { ...captured, 'x-github-delivery': id })).body['status']).toBe('repeated')
    lab.app.clock.jump(lab.app.clock.now() + 28 * 86_400_000)
    await lab.service.sweep()
    expect(
      (await lab.app.get(dbPort).query(`select 1 from forge_webhooks_in_deliveries where source = 'github'`)).rowCount,
    ).toBe(0)
  })

  it('finds out that a job has ended without telling', async () => {
    await sender(lab.app)('orders', body, signed(lab.app, signatures.standard, secret, body))
    const { id, jobId } = (await lab.service.list()).items[0]!
    await lab.app.get(jobsPort).cancel(jobId!)
    await lab.service.sweep()
    expect((await lab.service.get(id)).state).toBe('pending')
    lab.app.clock.jump(lab.app.clock.now() + 600_001)
    await lab.service.sweep()
    expect(await lab.service.get(id)).toMatchObject({ state: 'dead', error: 'JobLost' })
    await lab.service.replay(id)
    await lab.app.jobs.drain()
    expect((await lab.service.get(id)).state).toBe('handled')
  })

  it.each([
    ['handled', false],
    ['replayed', true],
  ])('calls nothing dead that was %s while it looked', async (_, replayed) => {
    await sender(lab.app)('orders', body, signed(lab.app, signatures.standard, secret, body))
    const { id } = (await lab.service.list()).items[0]!
    lab.app.clock.jump(lab.app.clock.now() + 600_001)
    const jobs = lab.app.get(jobsPort)
    const get = jobs.get.bind(jobs)
    const looked = vi.spyOn(jobs, 'get').mockImplementationOnce(async (job) => {
      await lab.app.jobs.drain()
      if (replayed) await lab.service.replay(id)
      return get(job)
    })
    const dead: unknown[] = []
    const hear = (event: unknown): void => void dead.push(event)
    webhookDead.subscribe(hear)
    await lab.service.sweep()
    webhookDead.unsubscribe(hear)
    expect(looked).toHaveBeenCalledOnce()
    looked.mockRestore()
    expect(dead).toEqual([])
    expect(await lab.service.get(id)).toMatchObject({ state: replayed ? 'pending' : 'handled', attempts: 0 })
  })
})

describe('sources', () => {
  it('are declared once, in setup, and make sense', async () => {
    const good = { name: 'mail', verifier: standard(), secrets: [secret], handler: () => {} }
    expect(() => lab.service.declare(good)).toThrow(expect.objectContaining({ code: 'webhooks_in.source_invalid' }))
    await expect(openLab([good, good])).rejects.toThrow(/another one has this name/)
    for (const wrong of [
      { name: 'A b' },
      { secrets: 'text' as never },
      { secrets: ['whsec_short'] },
      { toleranceMs: 0 },
      { bodyBytes: -1 },
      { events: [''] },
    ])
      expect(() => defineWebhookSource({ ...good, ...wrong })).toThrow(
        expect.objectContaining({ code: 'webhooks_in.source_invalid' }),
      )
    expect(() => defineWebhookSource({ ...good, secrets: ['whsec_very-secret-text'] })).not.toThrow(/very-secret-text/)
  })
})
