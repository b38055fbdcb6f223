import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../../kernel/clock.ts'
import { createFakeClock } from '../../../testing/clock.ts'
import { hasRedis, startRedis } from '../../../testing/redis-server.ts'
import type { RedisServer } from '../../../testing/redis-server.ts'
import { createRedis } from '../../redis/index.ts'
import type { Redis } from '../../redis/index.ts'
import type { RootCache } from '../cache.ts'
import { cacheContract } from '../contract.ts'
import { createCache } from '../create-cache.ts'
import { memory } from '../drivers/memory.ts'
import { redis, redisBus, redisTracking } from '../drivers/redis.ts'
import { tiered } from '../drivers/tiered.ts'
import { keepsNothingOvertaken } from './overtaken.ts'

/** How long a busy machine may take; nothing waits for it. */
const patient = { deadlineMs: 20_000, connectMs: 20_000 }

describe.runIf(hasRedis)('caches on Redis', () => {
  let server: RedisServer
  let connection: Redis
  let cluster: RedisServer
  let clustered: Redis

  beforeAll(async () => {
    server = await startRedis()
    connection = createRedis({ url: server.url, ...patient })
    cluster = await startRedis({ args: ['--cluster-enabled', 'yes'] })
    await cluster.admin('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
    while (!(await cluster.admin('CLUSTER', 'INFO')).includes('cluster_state:ok')) await systemClock.sleep(20)
    clustered = createRedis({ url: [cluster.url, cluster.url], ...patient })
  })
  afterAll(async () => {
    await connection.close()
    await clustered.close()
    await server[Symbol.asyncDispose]()
    await cluster[Symbol.asyncDispose]()
  })

  const time = { clock: systemClock, pass: (ms: number) => systemClock.sleep(ms) }
  cacheContract({ ...time, name: 'redis', create: () => redis(connection) })
  cacheContract({ ...time, name: 'redis cluster', create: () => redis(clustered, { keyPrefix: 'app:' }) })
  cacheContract({
    ...time,
    name: 'memory before redis, told by tracking',
    create: () => tiered({ near: memory(), far: redis(connection), bus: redisTracking(connection) }),
  })
  cacheContract({
    ...time,
    name: 'memory before a redis cluster, told by messages',
    create: () => tiered({ near: memory(), far: redis(clustered), bus: redisBus(clustered) }),
  })
  cacheContract({
    ...time,
    name: 'memory alone, told by messages',
    create: () => tiered({ near: memory(), bus: redisBus(connection) }),
  })

  it('give who waits for the lock the value as it is stored, while the clock stands still', async () => {
    const refused = Promise.withResolvers<void>()
    const open = async (): Promise<RootCache<string>> => {
      const far = redis(connection)
      const lock = far.lock!.bind(far)
      far.lock = async (...args) => {
        const taken = await lock(...args)
        if (!taken) refused.resolve()
        return taken
      }
      const driver = tiered({ near: memory(), far, bus: redisTracking(connection) })
      const cache = createCache<string>(driver, { clock: createFakeClock() })
      await cache.ready()
      return cache
    }
    const [one, two] = [await open(), await open()]
    const [loaded, began] = [Promise.withResolvers<string>(), Promise.withResolvers<void>()]
    const load = (): Promise<string> => {
      began.resolve()
      return loaded.promise
    }
    const options = { lock: true, tags: ['stopped'] }
    const first = one.getOrSet('stopped', load, options)
    await began.promise
    const second = two.getOrSet('stopped', () => 'of the second', options)
    await refused.promise
    loaded.resolve('of the first')
    expect(await Promise.all([first, second])).toEqual(['of the first', 'of the first'])
    await one.close()
    await two.close()
  })

  it('keep nothing whose tag was invalidated while it was loaded, however long the way to the store takes', async () => {
    const slow: Redis = Object.create(connection, {
      script: {
        value: async (...args: Parameters<Redis['script']>) => {
          await systemClock.sleep(50)
          return connection.script(...args)
        },
      },
    })
    await keepsNothingOvertaken(redis(slow), redis(connection))
  })

  it.each<[string, (cache: RootCache<string>) => Promise<unknown>, string | undefined]>([
    ['a delete', (cache) => cache.delete('late'), undefined],
    ['a write', (cache) => cache.set('late', 'new'), 'new'],
    ['a clear', (cache) => cache.clear(), undefined],
  ])('keep no loaded value that was still on its way at the time of %s', async (_, change, left) => {
    for (const driver of [
      redis(connection),
      tiered({ near: memory(), far: redis(connection), bus: redisTracking(connection) }),
    ]) {
      const cache = createCache<string>(driver)
      await cache.ready()
      // A value with tags takes two questions to store: the change would come between them.
      await cache.getOrSet('late', () => 'old', { tags: ['late'] })
      await change(cache)
      // Everything sent before has been answered by then.
      for (let n = 0; n < 3; n++) await connection.command(['PING'])
      expect(await cache.get('late')).toBe(left)
      await cache.clear()
      await cache.close()
    }
  })
})
