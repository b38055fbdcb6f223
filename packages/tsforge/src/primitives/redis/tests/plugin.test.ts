import { describe, expect, it } from 'vitest'
import { defineFeature } from '../../../http/feature.ts'
import type { Feature } from '../../../http/feature.ts'
import { createTestApp } from '../../../testing/app.ts'
import type { TestApp } from '../../../testing/app.ts'
import { hasRedis, startRedis } from '../../../testing/redis-server.ts'
import { redisPort } from '../redis.ts'

/** An app with a part that wants Redis when there is one. */
const app = (env: Readonly<Record<string, string>>): Promise<TestApp> => {
  const part = defineFeature({ name: 'part', needs: { redis: redisPort }, setup: ({ redis }) => redis })
  return createTestApp({ features: [part as Feature], env })
}

describe('an app', () => {
  it('has no Redis where REDIS_URL is not set', async () => {
    await using test = await app({})
    expect(test.get(redisPort)).toBeUndefined()
  })

  it('starts while Redis is away', async () => {
    // A port of the system's, which no other test may get.
    await using test = await app({ REDIS_URL: 'redis://127.0.0.1:1' })
    await expect(test.get(redisPort)!.command(['PING'])).rejects.toMatchObject({ code: 'redis.unavailable' })
    expect(test.logged).toContainEqual(expect.objectContaining({ msg: 'Redis is away' }))
  })

  it.runIf(hasRedis)('has the connection at its start, counts what it does, and closes it at its end', async () => {
    await using server = await startRedis()
    {
      await using test = await app({ REDIS_URL: server.url })
      const redis = test.get(redisPort)!
      expect(redis.state).toBe('ready')
      await expect(redis.command(['NOPE'])).rejects.toMatchObject({ code: 'redis.command' })
      const metrics = test.metrics.render()
      expect(metrics).toContain('forge_redis_ready 1')
      expect(metrics).toContain('forge_redis_errors_total{code="redis.command"} 1')
      expect(await server.admin('CLIENT', 'LIST')).toContain('name=test')
    }
    await expect.poll(() => server.admin('CLIENT', 'LIST')).not.toContain('name=test')
  })
})
