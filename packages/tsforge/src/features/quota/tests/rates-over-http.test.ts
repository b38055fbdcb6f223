import { randomUUID } from 'node:crypto'
import { expect, it } from 'vitest'
import { defineFeature } from '../../../http/feature.ts'
import type { Feature } from '../../../http/feature.ts'
import { route } from '../../../http/route.ts'
import { Type } from '../../../http/schema.ts'
import { defineLimit, ratelimit } from '../../../primitives/ratelimit/index.ts'
import { createTestApp } from '../../../testing/app.ts'
import { tenants } from '../../tenants/index.ts'
import { quota } from '../plugin.ts'
import { quotaPort } from '../quota.ts'
import { free, pro } from './setup.ts'

function lab(): Feature {
  return defineFeature({
    name: 'lab',
    permissions: { 'lab.read': { description: 'Read', grantedTo: 'member' } },
    setup: () => ({}),
    authenticator: () => ({
      name: 'test',
      scheme: { type: 'http', scheme: 'test' },
      authenticate: ({ authorization }) =>
        authorization?.scheme === 'test' ? { kind: 'user' as const, id: authorization.value } : undefined,
    }),
    routes: () => [
      route({
        method: 'GET',
        url: '/lab',
        id: 'lab',
        summary: 'Lab',
        access: 'lab.read',
        rate: 'burst',
        data: Type.Object({}),
        handler: () => ({}),
      }),
    ],
  })
}

it('limits routes by the plan of the tenant, beside what its quota takes', async () => {
  await using app = await createTestApp({
    env: { FORGE_RATELIMIT_ENFORCED: 'true' },
    features: [
      lab(),
      tenants(),
      ratelimit({
        limits: [defineLimit({ name: 'burst', limit: 1, window: '1h', key: 'tenant', perPlan: true })],
        plans: quotaPort,
      }),
      quota({ plans: [free, pro], defaultPlan: 'free', routes: { lab: 'exports' } }),
    ],
  })
  const client = app.client.with({ headers: { authorization: `Test ${randomUUID()}` } })
  const team = async (): Promise<string> =>
    (await client.post<{ id: string }>('/api/v1/tenants', { name: 'Team' })).body.data.id
  const [poor, rich] = [await team(), await team()]
  await app.get(quotaPort).assign(rich, { plan: 'pro' })
  expect((await client.get('/lab', { tenant: poor })).status).toBe(200)
  expect(await client.get('/lab', { tenant: poor })).toMatchObject({
    status: 429,
    body: { error: { code: 'ratelimit.exceeded' } },
  })
  for (let n = 0; n < 3; n++) {
    const reply = await client.get('/lab', { tenant: rich })
    expect(reply.status).toBe(200)
    // One list of both.
    expect(reply.headers['ratelimit-policy']).toContain('"exports-month";q=200')
    expect(reply.headers['ratelimit-policy']).toContain('"burst";q=50;w=1')
  }
  // What the rate limit refused costs no units: they come back behind the answer.
  const used = async (): Promise<number> => {
    const { quotas } = await app.get(quotaPort).usage({ kind: 'tenant', id: poor })
    return quotas.find((each) => each.quota === 'exports')!.standings[0]!.used
  }
  await expect.poll(used, { interval: 5 }).toBe(1)
})
