import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hasRedis, startRedis } from 'tsforge/testing/redis-server'
import type { RedisServer } from 'tsforge/testing/redis-server'
import { cheapHashes, register, someone } from '../e2e/people.ts'
import { appFolder, eventually, launch } from '../e2e/product.ts'
import type { AppFolder, Product } from '../e2e/product.ts'
import { anyDatabase } from './arena.ts'

describe.runIf(hasRedis)('the product whose Redis breaks', () => {
  let folder: AppFolder
  let database: Awaited<ReturnType<typeof anyDatabase>>
  let redis: RedisServer
  let product: Product
  let token: string

  beforeAll(async () => {
    folder = await appFolder()
    database = await anyDatabase()
    redis = await startRedis()
    const env = { ...cheapHashes, DATABASE_URL: database.url, REDIS_URL: redis.url, FORGE_REDIS_DEADLINE: '200ms' }
    product = await launch({ root: folder.root, env })
    token = (await register(product, someone())).body.data.tokens.access_token
  })
  afterAll(async () => {
    redis.resume()
    await product[Symbol.asyncDispose]()
    await redis[Symbol.asyncDispose]()
    await database[Symbol.asyncDispose]()
    await folder[Symbol.asyncDispose]()
  })

  const works = async (): Promise<number> => (await product.ask('GET', '/api/v1/auth/me', { token })).status
  const ready = async (): Promise<number> => (await product.ask('GET', '/readyz')).status
  const clients = async (): Promise<number> => (await redis.admin('CLIENT', 'LIST')).split('name=').length - 1

  it.each([
    ['is stopped', async () => redis.pause(), async () => redis.resume()],
    ['is killed', () => redis.kill(), () => redis.start()],
    ['takes no writes', () => redis.admin('REPLICAOF', '127.0.0.1', '1'), () => redis.admin('REPLICAOF', 'NO', 'ONE')],
    [
      'is full',
      () => redis.admin('CONFIG', 'SET', 'maxmemory', '1'),
      () => redis.admin('CONFIG', 'SET', 'maxmemory', '0'),
    ],
  ])('goes on serving while it %s, and uses it again afterwards', async (_, begin, end) => {
    expect(await works()).toBe(200)
    await begin()
    for (let n = 0; n < 20; n++) expect([await works(), await ready()]).toEqual([200, 200])
    await end()
    await eventually(async () => ((await clients()) > 1 ? true : undefined), 60_000)
    expect(await works()).toBe(200)
  })
})
