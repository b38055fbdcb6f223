import { describe, expect, it } from 'vitest'
import { createRedis } from '../../primitives/redis/index.ts'
import { hasRedis, startRedis } from '../../testing/redis-server.ts'
import { examineRedis } from '../doctor/redis.ts'

describe.runIf(hasRedis)('forge doctor on Redis', () => {
  it('tells the version of a server that is well', async () => {
    await using server = await startRedis()
    const redis = createRedis({ url: server.url })
    expect(await examineRedis(redis)).toMatchObject({
      name: 'redis',
      state: 'ok',
      detail: expect.stringMatching(/^(Redis|Valkey) \d+\./),
    })
    await redis.close()
  })

  it('warns of one that will refuse to write when it is full', async () => {
    await using server = await startRedis({ args: ['--maxmemory', '100mb'] })
    const redis = createRedis({ url: server.url })
    expect(await examineRedis(redis)).toMatchObject({ state: 'warning', fix: expect.stringContaining('volatile-lfu') })
    await server.admin('CONFIG', 'SET', 'maxmemory-policy', 'volatile-lfu')
    expect(await examineRedis(redis)).toMatchObject({ state: 'ok' })
    await redis.close()
  })

  it('refuses a replica, and says when nothing answers', async () => {
    const server = await startRedis()
    const redis = createRedis({ url: server.url })
    await server.admin('REPLICAOF', '127.0.0.1', '1')
    expect(await examineRedis(redis)).toMatchObject({ state: 'failed', fix: 'Point REDIS_URL at the primary.' })
    await server[Symbol.asyncDispose]()
    expect(await examineRedis(redis)).toMatchObject({ state: 'failed', fix: expect.stringContaining('REDIS_URL') })
    await redis.close()
  })
})
