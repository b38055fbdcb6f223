import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../../kernel/clock.ts'
import { loadOptions } from '../../../kernel/options.ts'
import { testDb } from '../../../testing/db.ts'
import type { TestDb } from '../../../testing/db.ts'
import { createRedis } from '../../redis/index.ts'
import type { Redis } from '../../redis/index.ts'
import { chooseDriver } from '../choose-driver.ts'
import { cacheOptions } from '../options.ts'
import type { CacheOptions } from '../options.ts'

let db: TestDb
let redis: Redis
beforeAll(async () => {
  db = await testDb()
  // Choosing asks nothing of the server.
  redis = createRedis({ url: 'redis://127.0.0.1:1' })
})
afterAll(async () => {
  await redis.close()
  await db[Symbol.asyncDispose]()
})

const choose = async (driver: string, withRedis: boolean): Promise<unknown> => {
  const loaded = loadOptions(
    { cache: cacheOptions },
    { env: { FORGE_CACHE_DRIVER: driver }, environment: 'production' },
  )
  const options = (loaded as { cache: CacheOptions }).cache
  const { name, capabilities } = await chooseDriver({
    begun: Promise.resolve(),
    options,
    db,
    redis: withRedis ? redis : undefined,
    clock: systemClock,
  })
  return [name, capabilities.shared]
}

describe('the driver of the cache', () => {
  it.each([
    ['auto', true, 'tiered', true],
    ['auto', false, 'tiered', false],
    ['tiered', true, 'tiered', true],
    ['tiered', false, 'tiered', true],
    ['memory', true, 'memory', false],
    ['redis', true, 'redis', true],
    ['postgres', true, 'postgres', true],
  ])('for %s, Redis there: %s, is %s, shared: %s', async (asked, withRedis, name, shared) => {
    expect(await choose(asked, withRedis)).toEqual([name, shared])
  })

  it('is not Redis where there is none', async () => {
    await expect(choose('redis', false)).rejects.toMatchObject({ code: 'cache.option_invalid' })
  })
})
