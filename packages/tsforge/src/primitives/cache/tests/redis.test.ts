import { afterAll, beforeAll, describe } from 'vitest'
import { systemClock } from '../../../kernel/clock.ts'
import { hasRedis, startRedis } from '../../../testing/redis-server.ts'
import type { RedisServer } from '../../../testing/redis-server.ts'
import { createRedis } from '../../redis/index.ts'
import type { Redis } from '../../redis/index.ts'
import { cacheContract } from '../contract.ts'
import { memory } from '../drivers/memory.ts'
import { redis, redisBus, redisTracking } from '../drivers/redis.ts'
import { tiered } from '../drivers/tiered.ts'

describe.runIf(hasRedis)('caches on Redis', () => {
  let server: RedisServer
  let connection: Redis
  let cluster: RedisServer
  let clustered: Redis

  beforeAll(async () => {
    server = await startRedis()
    connection = createRedis({ url: server.url, deadlineMs: 5000 })
    cluster = await startRedis({ args: ['--cluster-enabled', 'yes'] })
    await cluster.admin('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
    while (!(await cluster.admin('CLUSTER', 'INFO')).includes('cluster_state:ok')) await systemClock.sleep(20)
    clustered = createRedis({ url: [cluster.url, cluster.url], deadlineMs: 5000 })
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
})
