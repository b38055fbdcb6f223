import type { Plugin, Port } from '../../kernel/plugin.ts'
import { cachePort } from './cache.ts'
import type { RootCache } from './cache.ts'
import { createCache } from './create-cache.ts'
import type { CacheDriver } from './driver.ts'
import { memory } from './drivers/memory.ts'
import { cacheErrors } from './errors.ts'
import { cacheOptions } from './options.ts'
import type { CacheOptions } from './options.ts'

/** Provides `cachePort`. A driver of your own comes in with `cache(driver)`. */
export function cache(driver?: CacheDriver): Plugin {
  const plugin: Plugin<CacheOptions, Record<never, never>, RootCache> = {
    name: 'cache',
    options: cacheOptions,
    // The plugin itself knows more of the service than its users do.
    provides: cachePort as Port<RootCache>,
    errors: cacheErrors,
    setup: ({ options, clock, metrics }) => {
      const { maxEntries, maxBytes, maxValueBytes, ttlMs: ttl, graceMs: grace } = options
      const chosen = driver ?? memory({ maxEntries, maxBytes })
      return createCache(chosen, { clock, metrics, maxValueBytes, ttl, grace })
    },
    start: (service) => service.ready(),
    stop: (service) => service.close(),
  }
  return plugin as unknown as Plugin
}
