import type { Clock } from '../../kernel/clock.ts'
import type { Db } from '../db/index.ts'
import type { Redis } from '../redis/index.ts'
import type { CacheBus, CacheDriver } from './driver.ts'
import { cacheErrors } from './errors.ts'
import type { CacheOptions } from './options.ts'

export interface DriverParts {
  readonly options: CacheOptions
  readonly db: Db
  readonly redis: Redis | undefined
  readonly clock: Clock
  /** The app starts: until then nothing may need the database, which may be none yet. */
  readonly begun: Promise<void>
}

/** The driver that the options ask for; only its own code is loaded. */
export async function chooseDriver({
  options,
  db,
  redis: connection,
  clock,
  begun,
}: DriverParts): Promise<CacheDriver> {
  const { driver, maxEntries, maxBytes } = options
  if (driver === 'postgres') return (await import('./drivers/postgres.ts')).postgres(db)
  if (driver === 'redis') {
    if (connection === undefined)
      throw cacheErrors.error('cache.option_invalid', { meta: { option: 'FORGE_CACHE_DRIVER without REDIS_URL' } })
    return (await import('./drivers/redis.ts')).redis(connection)
  }
  const { memory } = await import('./drivers/memory.ts')
  const near = memory({ maxEntries, maxBytes })
  if (driver === 'memory') return near
  const { tiered } = await import('./drivers/tiered.ts')
  if (connection !== undefined) {
    const { redis, redisBus, redisTracking } = await import('./drivers/redis.ts')
    const bus = connection.cluster ? redisBus(connection) : redisTracking(connection)
    return tiered({ near, far: redis(connection), bus })
  }
  const { postgres, postgresBus } = await import('./drivers/postgres.ts')
  const bus = after(begun, postgresBus(db, { clock }))
  return driver === 'tiered' ? tiered({ near, far: postgres(db), bus }) : tiered({ near, bus })
}

function after(begun: Promise<void>, bus: CacheBus): CacheBus {
  return {
    ...bus,
    async subscribe(listener, onLost) {
      await begun
      return bus.subscribe(listener, onLost)
    },
  }
}
