import { describe, expect, it } from 'vitest'
import { defineFeature } from '../../../http/feature.ts'
import type { Feature } from '../../../http/feature.ts'
import { route } from '../../../http/index.ts'
import { Type } from '../../../http/schema.ts'
import { createTestApp } from '../../../testing/app.ts'
import { hasRedis, startRedis } from '../../../testing/redis-server.ts'
import { memory } from '../drivers/memory.ts'
import { cache, cachePort } from '../index.ts'
import type { Cache } from '../index.ts'

interface Numbers {
  loads: number
  service: Cache<number>
}

/** `GET /number` answers how often it was made. */
function numbers(state: Numbers): Feature {
  return defineFeature<object, { readonly cache: typeof cachePort }, Numbers>({
    name: 'numbers',
    needs: { cache: cachePort },
    setup: (parts) => {
      state.service = parts.cache.namespace<number>('numbers')
      return state
    },
    routes: () => [
      route({
        method: 'GET',
        url: '/number',
        id: 'getNumber',
        summary: 'A number',
        access: 'public',
        data: Type.Object({ number: Type.Integer() }),
        handler: async () => ({
          number: await state.service.getOrSet('n', () => ++state.loads, { tags: ['all'], lock: true }),
        }),
      }),
    ],
  })
}
const fresh = (): Numbers => ({ loads: 0, service: undefined as never })

describe('the plugin', () => {
  it('comes by itself with a part that needs it, and tells what it does', async () => {
    const state = fresh()
    await using app = await createTestApp({ features: [numbers(state)] })
    for (let n = 0; n < 3; n++) expect((await app.client.get('/number')).body).toMatchObject({ data: { number: 1 } })
    const metrics = (await app.http.inject({ method: 'GET', url: '/metrics' })).payload
    for (const line of [
      'forge_cache_requests_total{namespace="numbers",result="hit"} 2\n',
      'forge_cache_requests_total{namespace="numbers",result="miss"} 1\n',
      'forge_cache_entries 1\n',
      'forge_cache_pending 0\n',
      'forge_cache_evictions_total 0\n',
    ])
      expect(metrics).toContain(line)
    expect(metrics).toMatch(/forge_cache_bytes [1-9]\d\d/)
  })

  it('takes ttl and bounds from the options', async () => {
    const state = fresh()
    await using app = await createTestApp({
      features: [numbers(state)],
      env: { FORGE_CACHE_TTL: '10s', FORGE_CACHE_MAX_ENTRIES: '5', FORGE_CACHE_DRIVER: 'memory' },
    })
    await app.client.get('/number')
    await app.clock.advance(11_000)
    expect((await app.client.get('/number')).body).toMatchObject({ data: { number: 2 } })
    for (let n = 0; n < 20; n++) await app.get(cachePort).set(`k${n}`, n)
    expect((await app.http.inject({ method: 'GET', url: '/metrics' })).payload).toContain('forge_cache_entries 5\n')
  })

  it('takes a driver of the app’s own, and stays ready when its store is away', async () => {
    const state = fresh()
    const away = Object.assign(memory(), { ping: () => Promise.reject(new Error('away')) })
    await using app = await createTestApp({ features: [cache(away), numbers(state)] })
    const ready = await app.http.inject({ method: 'GET', url: '/readyz' })
    expect(ready.statusCode).toBe(200)
    expect(ready.payload).toContain('degraded')
  })

  describe.runIf(hasRedis)('with REDIS_URL', () => {
    it('shares values between apps and tells each of what the other changed', async () => {
      await using server = await startRedis()
      const [one, two] = [fresh(), fresh()]
      const env = { REDIS_URL: server.url }
      await using first = await createTestApp({ features: [numbers(one)], env })
      await using second = await createTestApp({ features: [numbers(two)], env })
      const read = async (app: typeof first): Promise<unknown> =>
        ((await app.client.get('/number')).body as { data: { number: number } }).data.number
      expect([await read(first), await read(second)]).toEqual([1, 1])
      expect([one.loads, two.loads]).toEqual([1, 0])
      await two.service.invalidateTags(['all'])
      await expect.poll(() => one.service.get('n')).toBeUndefined()
      expect(await read(first)).toBe(2)
      await expect.poll(() => read(second)).toBe(2)
    })
  })
})
