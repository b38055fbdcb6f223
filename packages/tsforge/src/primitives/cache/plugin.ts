import type { Plugin, Port } from '../../kernel/plugin.ts'
import { dbPort } from '../db/index.ts'
import { redisPort } from '../redis/index.ts'
import { cachePort } from './cache.ts'
import type { RootCache } from './cache.ts'
import { chooseDriver } from './choose-driver.ts'
import { createCache } from './create-cache.ts'
import type { CacheDriver } from './driver.ts'
import { cacheErrors } from './errors.ts'
import { cacheOptions } from './options.ts'
import type { CacheOptions } from './options.ts'

type Needs = { readonly db: typeof dbPort; readonly redis: typeof redisPort }

/** Provides `cachePort`. A driver of your own comes in with `cache(driver)`. */
export function cache(driver?: CacheDriver): Plugin {
  const plugin: Plugin<CacheOptions, Needs, RootCache> = {
    name: 'cache',
    options: cacheOptions,
    needs: { db: dbPort, redis: redisPort },
    migrations: { module: 'cache', directory: new URL('./migrations/', import.meta.url) },
    // The plugin itself knows more of the service than its users do.
    provides: cachePort as Port<RootCache>,
    errors: cacheErrors,
    setup: async ({ options, clock, metrics, db, redis }) => {
      const { maxValueBytes, ttlMs: ttl, graceMs: grace } = options
      const chosen = driver ?? (await chooseDriver({ options, clock, db, redis }))
      return createCache(chosen, { clock, metrics, maxValueBytes, ttl, grace })
    },
    start: (service) => service.ready(),
    stop: (service) => service.close(),
  }
  return plugin as unknown as Plugin
}
