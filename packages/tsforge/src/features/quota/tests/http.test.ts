import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { defineFeature } from '../../../http/feature.ts'
import type { Feature } from '../../../http/feature.ts'
import { route } from '../../../http/route.ts'
import type { Route } from '../../../http/route.ts'
import { Type } from '../../../http/schema.ts'
import { defineErrors } from '../../../kernel/errors.ts'
import { dbPort } from '../../../primitives/db/index.ts'
import { createTestApp } from '../../../testing/app.ts'
import type { TestApp } from '../../../testing/app.ts'
import type { Client } from '../../../testing/client.ts'
import { tenants } from '../../tenants/index.ts'
import { quota } from '../plugin.ts'
import type { QuotaInput } from '../plugin.ts'
import { quotaPort } from '../quota.ts'
import { free, pro } from './setup.ts'

const labErrors = defineErrors({
  'lab.broken': { status: 503, message: { en: 'Broken.', id: 'Rusak.' } },
  'lab.refused': { status: 409, message: { en: 'No.', id: 'Tidak.' } },
})

/** Signs in whoever says so: `Authorization: Test <user id>`; and routes under quotas. */
function lab(more: Partial<Route> = {}): Feature {
  const get = (id: string, handler: () => object, words: Partial<Route> = {}): Route =>
    route({
      method: 'GET',
      url: `/lab/${id}`,
      id,
      summary: id,
      access: 'lab.read',
      data: Type.Object({}),
      errors: Object.keys(labErrors.specs),
      handler,
      ...words,
    } as never)
  return defineFeature({
    name: 'lab',
    errors: labErrors,
    permissions: {
      'lab.read': { description: 'Read', grantedTo: 'member' },
      'lab.export': { description: 'Export', grantedTo: 'member' },
    },
    setup: () => ({}),
    authenticator: () => ({
      name: 'test',
      scheme: { type: 'http', scheme: 'test' },
      authenticate: ({ authorization }) =>
        authorization?.scheme === 'test' ? { kind: 'user' as const, id: authorization.value } : undefined,
    }),
    routes: () => [
      get('plain', () => ({})),
      get('small', () => ({}), { access: 'lab.export', ...more }),
      get('large', () => ({}), { access: 'lab.export', cost: 60 }),
      get('seats', () => ({})),
      get('broken', () => {
        throw labErrors.error('lab.broken')
      }),
      get('refused', () => {
        throw labErrors.error('lab.refused')
      }),
    ],
  })
}

const charges: QuotaInput['routes'] = {
  'lab.export': 'exports',
  seats: 'seats',
  broken: { quota: 'exports', cost: 50 },
  refused: { quota: 'exports', cost: 50 },
}
const plans = { plans: [free, pro], defaultPlan: 'free' }

let app: TestApp
beforeAll(async () => {
  app = await createTestApp({ features: [lab(), tenants(), quota({ ...plans, routes: charges })] })
})
afterAll(() => app[Symbol.asyncDispose]())

const as = (id: string): Client => app.client.with({ headers: { authorization: `Test ${id}` } })

/** An owner working in a team of its own. */
async function owner(): Promise<{ readonly client: Client; readonly tenantId: string }> {
  const client = as(randomUUID())
  const { id } = (await client.post<{ id: string }>('/api/v1/tenants', { name: 'Team' })).body.data
  return { client: client.with({ tenant: id }), tenantId: id }
}

interface Usage {
  readonly plan: string
  readonly quotas: readonly {
    readonly quota: string
    readonly limits: readonly { readonly used: number; readonly remaining: number | null }[]
  }[]
}
async function exportsUsed(client: Client): Promise<number> {
  const { body } = await client.get<Usage>('/api/v1/quota/usage')
  return body.data.quotas.find((each) => each.quota === 'exports')!.limits[0]!.used
}

describe('a route under a quota', () => {
  it('says what is left, and answers 429 in the envelope with when to come back', async () => {
    const { client } = await owner()
    const first = await client.get('/lab/large')
    expect(first.status).toBe(200)
    expect(first.headers['ratelimit-policy']).toMatch(/^"exports-month";q=100;w=\d+$/)
    expect(first.headers['ratelimit']).toMatch(/^"exports-month";r=40;t=\d+$/)
    const second = await client.get('/lab/large')
    expect(second).toMatchObject({
      status: 429,
      body: {
        success: false,
        error: {
          code: 'quota.exceeded',
          meta: { quota: 'exports', plan: 'free', cost: 60, violated: [{ per: 'month', limit: 100, used: 60 }] },
        },
      },
    })
    const t = /^"exports-month";r=40;t=(\d+)$/.exec(second.headers['ratelimit']!)![1]
    expect(second.headers['retry-after']).toBe(t)
    expect(second.headers['ratelimit-policy']).toBe(first.headers['ratelimit-policy'])
    expect((await client.get('/lab/small')).headers['ratelimit']).toContain(';r=39;')
  })

  it('answers problem+json of the registered type to those who ask for it', async () => {
    const { client } = await owner()
    await client.get('/lab/large')
    const reply = await client.get('/lab/large', { headers: { accept: 'application/problem+json, application/json' } })
    expect(JSON.parse(reply.text)).toMatchObject({
      type: 'https://iana.org/assignments/http-problem-types#quota-exceeded',
      status: 429,
      code: 'quota.exceeded',
      'violated-policies': ['exports-month'],
      fix: expect.stringContaining('/api/v1/quota/usage') as string,
    })
  })

  it('speaks Indonesian', async () => {
    const { client } = await owner()
    const reply = await client.get('/lab/seats', { headers: { 'accept-language': 'id' } })
    expect(reply).toMatchObject({
      status: 403,
      body: { error: { code: 'quota.not_in_plan', message: 'Paket "free" tidak mencakup "seats".' } },
    })
  })

  it('gives units back for an answer that failed on our side, and keeps them for a refusal', async () => {
    const { client } = await owner()
    for (let n = 0; n < 3; n++) {
      expect((await client.get('/lab/broken')).status).toBe(503)
      await refunded(client)
    }
    expect((await client.get('/lab/refused')).status).toBe(409)
    expect(await exportsUsed(client)).toBe(50)
  })

  it('charges the tenant that was checked, whatever header names another', async () => {
    const { client, tenantId } = await owner()
    const eve = await owner()
    expect((await eve.client.get('/lab/large', { tenant: tenantId })).status).toBe(403)
    expect((await as(randomUUID()).get('/lab/large')).status).toBe(400)
    expect(await exportsUsed(client)).toBe(0)
    expect(await exportsUsed(eve.client)).toBe(0)
  })

  it('is charged nothing where no quota is named', async () => {
    const { client } = await owner()
    const { status, headers } = await client.get('/lab/plain')
    expect(status).toBe(200)
    expect(headers).not.toHaveProperty('ratelimit')
  })

  it('is documented with its headers and its refusals', () => {
    const { paths } = app.http.document() as unknown as {
      paths: Record<string, { get: { responses: Record<string, { headers?: object }> } }>
    }
    const { responses } = paths['/lab/small']!.get
    expect(responses['200']!.headers).toHaveProperty('RateLimit-Policy')
    expect(Object.keys(responses)).toContain('429')
    expect(Object.keys(paths['/lab/plain']!.get.responses)).not.toContain('429')
  })
})

/** The refund is a statement of its own behind the answer. */
async function refunded(client: Client): Promise<void> {
  await expect.poll(() => exportsUsed(client), { interval: 5 }).toBe(0)
}

describe('the plan of a tenant', () => {
  it('is chosen by its owner among the open ones alone', async () => {
    const { client, tenantId } = await owner()
    expect((await client.get('/api/v1/quota/plan')).body.data).toEqual({ plan: 'free', assigned: false, anchor_day: 1 })
    expect(await client.put('/api/v1/quota/plan', { plan: 'pro' })).toMatchObject({
      status: 403,
      body: { error: { code: 'quota.plan_closed' } },
    })
    expect(await client.put('/api/v1/quota/plan', { plan: 'gold' })).toMatchObject({
      status: 409,
      body: { error: { code: 'quota.plan_unknown' } },
    })
    expect((await client.put('/api/v1/quota/plan', { plan: 'free', anchor_day: 3 })).status).toBe(422)
    expect((await client.put('/api/v1/quota/plan', { plan: 'free' })).body.data).toMatchObject({ assigned: true })
    await app.get(quotaPort).assign(tenantId, { plan: 'pro' })
    expect((await client.get<Usage>('/api/v1/quota/usage')).body.data).toMatchObject({
      plan: 'pro',
      quotas: [{}, { quota: 'exports', limits: [{ per: 'month', limit: 200, used: 0, remaining: 200 }] }, {}, {}, {}],
    })
  })

  it('is seen by members, and chosen by none of them', async () => {
    const { client, tenantId } = await owner()
    const memberId = randomUUID()
    await client.post(`/api/v1/tenants/${tenantId}/members`, { user_id: memberId })
    const member = as(memberId).with({ tenant: tenantId })
    expect((await member.get('/api/v1/quota/usage')).status).toBe(200)
    expect((await member.get('/api/v1/quota/history')).body.data).toEqual([])
    expect(await member.put('/api/v1/quota/plan', { plan: 'free' })).toMatchObject({
      status: 403,
      body: { error: { code: 'access.denied' } },
    })
    const stranger = as(randomUUID()).with({ tenant: tenantId })
    for (const what of ['usage', 'history', 'plan'])
      expect((await stranger.get(`/api/v1/quota/${what}`)).status).toBe(403)
  })

  it('has a history of its past periods', async () => {
    const { client } = await owner()
    await client.get('/lab/large')
    app.clock.jump(app.clock.now() + 32 * 24 * 60 * 60_000)
    expect((await client.get('/api/v1/quota/history?quota=exports')).body.data).toMatchObject([
      { quota: 'exports', per: 'month', api_key_id: null, used: 60, limit: 100 },
    ])
    expect((await client.get('/api/v1/quota/history?limit=0')).status).toBe(422)
  })
})

describe('an app', () => {
  const boots = async (input: Partial<QuotaInput>, more: Partial<Route> = {}): Promise<unknown> => {
    try {
      await using started = await createTestApp({ features: [lab(more), tenants(), quota({ ...plans, ...input })] })
      return started.info.name
    } catch (error) {
      return error instanceof Error ? `${error.message} ${String(error.cause)}` : error
    }
  }

  it('refuses to boot with names that do not exist', async () => {
    expect(await boots({ routes: { small: 'export' } })).toContain('"export", which no plan declares')
    expect(await boots({ routes: { smal: 'exports' } })).toContain('"smal" is neither a route nor a permission')
    expect(await boots({ routes: { small: { quota: 'exports', cost: 0 } } })).toContain('costs 0')
    expect(await boots({ routes: { small: 'exports' } })).toBe('test')
  })

  it('refuses to boot with a quota on a route that demands no tenant', async () => {
    for (const tenant of ['optional', 'none'] as const)
      expect(await boots({ routes: { small: 'exports' } }, { tenant })).toContain('does not demand a tenant')
    expect(await boots({ routes: { small: 'exports' } }, { access: 'public' })).toContain('does not demand a tenant')
  })
})

describe('when usage cannot be counted', () => {
  it.each([
    ['closed', 503],
    ['open', 200],
  ] as const)('a route that is %s answers %i, and it is counted', async (whenLost, status) => {
    await using own = await createTestApp({
      features: [lab(), tenants(), quota({ ...plans, routes: { small: 'exports' } })],
      env: { FORGE_QUOTA_WHEN_LOST: whenLost },
    })
    const client = own.client.with({ headers: { authorization: `Test ${randomUUID()}` } })
    const { id } = (await client.post<{ id: string }>('/api/v1/tenants', { name: 'Team' })).body.data
    await own.get(dbPort).query('alter table forge_quota_counters rename to away')
    const reply = await client.get('/lab/small', { tenant: id })
    expect(reply.status).toBe(status)
    if (status === 503) {
      expect(reply).toMatchObject({ headers: { 'retry-after': '1' }, body: { error: { code: 'quota.unavailable' } } })
    }
    expect(own.metrics.render()).toContain(`forge_quota_lost_total{policy="${whenLost}"} 1`)
    await own.get(dbPort).query('alter table away rename to forge_quota_counters')
    expect((await client.get('/lab/small', { tenant: id })).status).toBe(200)
    expect(own.metrics.render()).toContain('forge_quota_takes_total{quota="exports",result="granted"} 1')
  })
})

it('charges the API key that the app names, within its tenant', async () => {
  await using own = await createTestApp({
    features: [lab(), tenants(), quota({ ...plans, routes: { small: 'keys' }, apiKeyOf: ({ id }) => id ?? undefined })],
  })
  const client = own.client.with({ headers: { authorization: `Test ${randomUUID()}` } })
  const { id } = (await client.post<{ id: string }>('/api/v1/tenants', { name: 'Team' })).body.data
  const keyed = client.with({ tenant: id })
  for (let n = 0; n < 4; n++) expect((await keyed.get('/lab/small')).status).toBe(200)
  const refused = await keyed.get('/lab/small')
  expect(refused).toMatchObject({ status: 429, body: { error: { meta: { violated: [{ each: 'api_key' }] } } } })
  expect(refused.headers['ratelimit']).toMatch(/^"keys-month";r=6;t=\d+, "keys-key-month";r=0;t=\d+$/)
})
