import { describe, expect, it } from 'vitest'
import { defineFeature } from '../../../http/feature.ts'
import { route } from '../../../http/route.ts'
import { Type } from '../../../http/schema.ts'
import { createTestApp } from '../../../testing/index.ts'
import { hasRedis, startRedis } from '../../../testing/redis-server.ts'
import { defineLimit, ratelimit, ratelimitPort } from '../index.ts'

const thrice = defineLimit({ name: 'thrice', limit: 3, window: '10m' })
const things = defineFeature({
  name: 'things',
  needs: { ratelimit: ratelimitPort },
  setup: ({ ratelimit: limits }) => limits.limit({ name: 'by_hand', limit: 1, window: '10m' }),
  routes: (byHand) => [
    route({
      method: 'GET',
      url: '/things',
      id: 'listThings',
      summary: 'Things',
      access: 'public',
      rate: 'thrice',
      data: Type.Object({ first: Type.Boolean() }),
      handler: async () => ({ first: (await byHand.take('everybody')).allowed }),
    }),
  ],
})
const app = (env: Record<string, string>, databaseUrl?: string) =>
  createTestApp({
    features: [ratelimit({ limits: [thrice] }), things],
    env: { FORGE_RATELIMIT_ENFORCED: 'true', ...env },
    ...(databaseUrl !== undefined && { databaseUrl }),
  })

/** Status codes and what is left, of one caller over several processes in turn. */
async function callInTurn(apps: readonly { fetch(url: string): Promise<Response> }[], times: number) {
  const seen: [number, string | null][] = []
  for (let n = 0; n < times; n++) {
    const { status, headers } = await apps[n % apps.length]!.fetch('http://app/things')
    seen.push([status, /r=(\d+)/.exec(headers.get('ratelimit') ?? '')?.[1] ?? null])
  }
  return seen
}
const together = [
  [200, '2'],
  [200, '1'],
  [200, '0'],
  [429, '0'],
  [429, '0'],
]

describe('an app', () => {
  it('counts in memory when nothing else is said, each process by itself', async () => {
    await using one = await app({})
    expect(await callInTurn([one], 5)).toEqual(together)
    expect((await one.client.get<{ checks: Record<string, string> }>('/readyz')).body.data.checks['ratelimit']).toBe(
      'ok',
    )
    expect(one.metrics.render()).toContain('forge_ratelimit_decisions_total{limit="thrice",result="refused"} 2')
  })

  it('hands the limiter to other features, for limits of their own', async () => {
    await using one = await app({})
    expect((await one.client.get<{ first: boolean }>('/things')).body.data.first).toBe(true)
    expect((await one.client.get<{ first: boolean }>('/things')).body.data.first).toBe(false)
  })

  it('counts in its database together with other replicas when it is told of them', async () => {
    await using one = await app({ FORGE_RATELIMIT_REPLICAS: '2' })
    if (one.databaseUrl === undefined) return
    await using other = await app({ FORGE_RATELIMIT_REPLICAS: '2' }, one.databaseUrl)
    expect(await callInTurn([one, other], 5)).toEqual(together)
  })

  it('refuses to start with a driver of Redis and without Redis', async () => {
    await expect(app({ FORGE_RATELIMIT_DRIVER: 'redis' })).rejects.toThrow('REDIS_URL is not set')
  })
})

describe.runIf(hasRedis)('an app with Redis', () => {
  for (const driver of ['auto', 'redis']) {
    it(`counts there together with other replicas, driver ${driver}, and goes on by itself without it`, async () => {
      await using server = await startRedis()
      const env = { REDIS_URL: server.url, FORGE_RATELIMIT_DRIVER: driver }
      await using one = await app(env)
      await using other = await app(env)
      expect(await callInTurn([one, other], 5)).toEqual(together)
      await server.kill()
      // A refusal is remembered for a second at most; then each counts by itself, from nothing.
      await one.clock.advance(1000)
      expect((await callInTurn([one], 5)).map(([status]) => status)).toEqual([200, 200, 200, 429, 429])
      const { checks } = (await one.client.get<{ checks: Record<string, string> }>('/readyz')).body.data
      expect(checks['ratelimit']).toBe('degraded')
    })
  }
})
