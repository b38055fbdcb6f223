import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { accounts } from '../../../features/accounts/index.ts'
import { tenants } from '../../../features/tenants/index.ts'
import { defineFeature } from '../../../http/feature.ts'
import { route } from '../../../http/route.ts'
import { Type } from '../../../http/schema.ts'
import { createTestApp } from '../../../testing/index.ts'
import type { Client, TestApp, TestUser } from '../../../testing/index.ts'
import { createRunner, defineJob, defineSchedule, Discard, handle, jobsPort, schedulesPort } from '../index.ts'
import type { JobId, Jobs } from '../index.ts'
import { jobs as jobsPlugin } from '../plugin.ts'
import { jobsApi } from '../routes.ts'

const greet = defineJob({
  kind: 'people.greet',
  schema: Type.Object({ name: Type.String() }),
  maxAttempts: 1,
  tags: ['polite'],
})
const shop = defineFeature({
  name: 'shop',
  needs: { jobs: jobsPort },
  setup: ({ jobs }) => jobs,
  routes: (jobs: Jobs) => [
    route({
      method: 'POST',
      url: '/api/v1/greetings',
      id: 'greet',
      summary: 'Greet somebody later',
      access: 'jobs.read',
      body: Type.Object({ name: Type.String(), delay_ms: Type.Optional(Type.Integer()) }),
      data: Type.Object({ id: Type.Integer() }),
      handler: async ({ body }) => {
        const { id } = await jobs.enqueue(greet, { name: body.name }, { delayMs: body.delay_ms ?? 0 })
        return { id: id! }
      },
    }),
  ],
})
const handlers = [
  handle(greet, ({ payload: { name }, progress }) => {
    if (name === 'Eve') throw new Discard('no greeting for secret-of-Eve')
    progress({ half: true })
    return { said: `hello ${name}` }
  }),
]

let app: TestApp
let ada: TestUser
let bob: TestUser
beforeAll(async () => {
  app = await createTestApp({ features: [accounts(), tenants(), jobsPlugin(), jobsApi(), shop] })
})
afterAll(() => app[Symbol.asyncDispose]())
beforeEach(async () => {
  ada = await app.register()
  bob = await app.register()
})

async function add(client: Client, name: string, delay_ms = 0): Promise<JobId> {
  const { status, body } = await client.post<{ id: JobId }>('/api/v1/greetings', { name, delay_ms })
  expect(status).toBe(200)
  return body.data.id
}

function work(): Promise<number> {
  return createRunner({ jobs: app.get(jobsPort), handlers }).runUntilIdle()
}

interface Page {
  readonly items: readonly { readonly id: JobId }[]
  readonly page: { readonly next_cursor: string | null }
}
const idsOf = async (client: Client, query = ''): Promise<JobId[]> =>
  (await client.get<Page>(`/api/v1/jobs${query}`)).body.data.items.map(({ id }) => id)

describe('the jobs of a tenant over HTTP', () => {
  it('tell what became of them, and nothing that code tells code', async () => {
    const [done, dead, later] = [await add(ada, 'Grace'), await add(ada, 'Eve'), await add(ada, 'Alan', 3_600_000)]
    await work()
    const show = (id: JobId) => ada.get(`/api/v1/jobs/${id}`)
    expect((await show(done)).body.data).toMatchObject({
      id: done,
      kind: 'people.greet',
      queue: 'default',
      state: 'done',
      attempt: 1,
      tags: ['polite'],
      error: null,
      output: { said: 'hello Grace' },
      finished_at: expect.any(String) as string,
    })
    const buried = await show(dead)
    expect(buried.body.data).toMatchObject({ state: 'dead', error: 'Discard', dead_reason: 'discarded', output: null })
    expect((await show(later)).body.data).toMatchObject({ state: 'scheduled', attempt: 0, finished_at: null })
    expect(buried.text + (await ada.get('/api/v1/jobs')).text).not.toMatch(/secret-of-Eve|payload|stack|worker/)
  })

  it('do not exist for another tenant, whatever it asks', async () => {
    const id = await add(ada, 'Eve')
    await work()
    const job = `/api/v1/jobs/${id}`
    for (const answer of [await bob.get(job), await bob.post(`${job}/retry`), await bob.post(`${job}/cancel`)])
      expect(answer).toMatchObject({ status: 404, body: { error: { code: 'jobs.unknown' } } })
    expect(await idsOf(bob)).toEqual([])
    expect((await bob.get('/api/v1/jobs/redrive')).body.data).toEqual({ count: 0, sample: [] })
    expect((await bob.post('/api/v1/jobs/redrive', {})).body.data).toEqual({ count: 0 })
    expect((await bob.get('/api/v1/jobs/stats')).body.data).toEqual({ queues: [] })
    expect((await ada.get(job)).body.data).toMatchObject({ state: 'dead' })
  })

  it('of nobody are the operator’s alone', async () => {
    const { id } = await app.get(jobsPort).enqueue(greet, { name: 'Grace' }, { delayMs: 60_000 })
    expect((await ada.get(`/api/v1/jobs/${id}`)).status).toBe(404)
    expect((await ada.post(`/api/v1/jobs/${id}/cancel`)).status).toBe(404)
    expect(await idsOf(ada)).toEqual([])
    expect(await app.get(jobsPort).cancel(id!)).toBe('cancelled')
  })

  it('come in pages, newest first, of the state and kind that are asked for', async () => {
    const ids: JobId[] = []
    for (const name of ['a', 'b', 'c', 'd', 'e']) ids.push(await add(ada, name, 60_000))
    const seen: JobId[] = []
    let cursor: string | null = ''
    while (cursor !== null) {
      const url: string = `/api/v1/jobs?limit=2&state=scheduled&kind=people.greet&tag=polite&cursor=${cursor}`
      const { items, page }: Page = (await ada.get<Page>(url)).body.data
      seen.push(...items.map(({ id }) => id))
      cursor = page.next_cursor
      if (seen.length === 2) await add(ada, 'f', 60_000)
    }
    expect(seen).toEqual(ids.toReversed())
    expect(await idsOf(ada, '?state=dead')).toEqual([])
    expect(await idsOf(ada, '?kind=people.insult')).toEqual([])
    const { page } = (await ada.get<Page>('/api/v1/jobs?limit=2')).body.data
    for (const answer of [
      await bob.get(`/api/v1/jobs?limit=2&cursor=${page.next_cursor}`),
      await ada.get(`/api/v1/jobs?limit=2&state=scheduled&cursor=${page.next_cursor}`),
    ])
      expect(answer).toMatchObject({ status: 400, body: { error: { code: 'page.cursor_invalid' } } })
  })

  it('are cancelled while they wait and retried when they are dead', async () => {
    const later = await add(ada, 'Grace', 60_000)
    expect((await ada.post(`/api/v1/jobs/${later}/cancel`)).body.data).toEqual({ outcome: 'cancelled' })
    expect((await ada.get(`/api/v1/jobs/${later}`)).body.data).toMatchObject({ state: 'cancelled' })
    expect((await ada.post(`/api/v1/jobs/${later}/cancel`)).status).toBe(404)
    expect((await ada.post(`/api/v1/jobs/${later}/retry`)).status).toBe(404)

    const dead = await add(ada, 'Eve')
    await work()
    expect((await ada.post(`/api/v1/jobs/${dead}/retry`)).status).toBe(204)
    expect((await ada.get(`/api/v1/jobs/${dead}`)).body.data).toMatchObject({ state: 'ready', attempt: 0 })
    await work()
    expect((await ada.get(`/api/v1/jobs/${dead}`)).body.data).toMatchObject({ state: 'dead' })
  })

  it('are redriven as the preview has said, oldest first and at a rate', async () => {
    const dead: JobId[] = []
    for (let n = 0; n < 3; n++) dead.push(await add(ada, 'Eve'))
    await add(bob, 'Eve')
    await work()
    const preview = await ada.get<{ count: number; sample: { id: JobId }[] }>(
      '/api/v1/jobs/redrive?kind=people.greet&queue=default&tag=polite',
    )
    expect([preview.body.data.count, preview.body.data.sample.map(({ id }) => id)]).toEqual([3, dead.toReversed()])
    expect((await ada.post('/api/v1/jobs/redrive', { kind: 'other' })).body.data).toEqual({ count: 0 })
    expect((await ada.post('/api/v1/jobs/redrive', { limit: 2, per_second: 1 })).body.data).toEqual({ count: 2 })
    const found = []
    for (const id of dead)
      found.push((await ada.get<{ state: string; run_at: string }>(`/api/v1/jobs/${id}`)).body.data)
    // The second one waits for its second, or no more on a machine that has taken one meanwhile.
    const [first, second, third] = found
    expect([first!.state, third!.state]).toEqual(['ready', 'dead'])
    expect(Date.parse(second!.run_at) - Date.parse(first!.run_at)).toBe(1000)
    const { body } = await ada.get<{ queues: { counts: Record<string, number> }[] }>('/api/v1/jobs/stats')
    expect(body.data).toMatchObject({ queues: [{ queue: 'default', counts: { dead: 1, done: 0 } }] })
    const { ready, scheduled } = body.data.queues[0]!.counts
    expect(ready! + scheduled!).toBe(2)
    expect((await bob.get('/api/v1/jobs/stats')).body.data).toMatchObject({ queues: [{ counts: { dead: 1 } }] })
  })

  it('are for owners: members neither see nor touch them', async () => {
    const team = (await ada.post<{ id: string }>('/api/v1/tenants', { name: 'Engines' })).body.data.id
    await ada.post(`/api/v1/tenants/${team}/members`, { user_id: bob.id, role: 'member' })
    const id = await add(ada.with({ tenant: team }), 'Grace', 60_000)
    const member = bob.with({ tenant: team })
    for (const answer of [
      await member.get('/api/v1/jobs'),
      await member.get(`/api/v1/jobs/${id}`),
      await member.get('/api/v1/jobs/stats'),
      await member.post(`/api/v1/jobs/${id}/cancel`),
      await member.post('/api/v1/jobs/redrive', {}),
    ])
      expect(answer).toMatchObject({ status: 403, body: { error: { code: 'access.denied' } } })
    expect((await app.client.get('/api/v1/jobs')).status).toBe(401)
  })

  it('have schedules, of which nobody else sees any', async () => {
    const schedules = app.get(schedulesPort)
    const name = `greet.${ada.id}`
    const team = (await ada.post<{ id: string }>('/api/v1/tenants', { name: 'Engines' })).body.data.id
    await schedules.create(
      defineSchedule({
        name,
        job: greet,
        payload: { name: 'secret-of-Grace' },
        cron: '30 2 * * *',
        timeZone: 'Europe/Berlin',
        options: { tenantId: team },
      }),
    )
    await schedules.create(defineSchedule({ name: `all.${ada.id}`, job: greet, payload: { name: 'x' }, every: '1h' }))
    const owner = ada.with({ tenant: team })
    const { text, body } = await owner.get('/api/v1/jobs/schedules')
    expect(body.data).toMatchObject({
      items: [
        { name, state: 'active', cron: '30 2 * * *', every_ms: null, time_zone: 'Europe/Berlin', failing: false },
      ],
    })
    expect((body.data as { items: unknown[] }).items).toHaveLength(1)
    expect(text).not.toContain('secret-of-Grace')
    const { next_runs } = (body.data as { items: { next_runs: { local: string }[] }[] }).items[0]!
    expect(next_runs.map(({ local }) => local.slice(10, 16))).toEqual(Array.from({ length: 5 }, () => 'T02:30'))
    await schedules.pause(name)
    expect((await owner.get('/api/v1/jobs/schedules')).body.data).toMatchObject({
      items: [{ state: 'paused', next_at: null, next_runs: [] }],
    })
    expect((await bob.get('/api/v1/jobs/schedules')).body.data).toMatchObject({ items: [] })
  })

  it.each([
    ['GET', '/api/v1/jobs/0'],
    ['GET', '/api/v1/jobs/1.5'],
    ['GET', '/api/v1/jobs/9007199254740993'],
    ['GET', '/api/v1/jobs/1%27%20or%20true'],
    ['GET', '/api/v1/jobs?state=lost'],
    ['GET', '/api/v1/jobs?limit=0'],
    ['POST', '/api/v1/jobs/redrive', '{"per_second":0}'],
    ['POST', '/api/v1/jobs/redrive', '{"limit":1000000000}'],
    ['POST', '/api/v1/jobs/redrive', '{"queue":["a"]}'],
  ])('refuse %s %s %s', async (method, url, body?: string) => {
    const { status } = await ada.send(method, url, body, {
      headers: body === undefined ? {} : { 'content-type': 'application/json' },
    })
    expect([400, 404, 422]).toContain(status)
  })
})
