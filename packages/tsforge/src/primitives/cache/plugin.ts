import type { Metrics } from '../../kernel/metrics.ts'
import type { Health, Plugin, Port } from '../../kernel/plugin.ts'
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

type PluggedCache = RootCache & { begin(): void }

/** Provides `cachePort`. A driver of your own comes in with `cache(driver)`. */
export function cache(driver?: CacheDriver): Plugin {
  const plugin: Plugin<CacheOptions, Needs, PluggedCache> = {
    name: 'cache',
    options: cacheOptions,
    needs: { db: dbPort, redis: redisPort },
    migrations: { module: 'cache', directory: new URL('./migrations/', import.meta.url) },
    // The plugin itself knows more of the service than its users do.
    provides: cachePort as Port<PluggedCache>,
    errors: cacheErrors,
    setup: async ({ options, clock, metrics, db, redis }) => {
      const { maxValueBytes, ttlMs: ttl, graceMs: grace } = options
      const { promise: begun, resolve: begin } = Promise.withResolvers<void>()
      const chosen = driver ?? (await chooseDriver({ options, clock, db, redis, begun }))
      const service = createCache(chosen, { clock, metrics, maxValueBytes, ttl, grace })
      meterMemory(service, metrics)
      return Object.assign(service, { begin })
    },
    start: (service) => {
      service.begin()
      return service.ready()
    },
    stop: (service) => service.close(),
    health,
  }
  return plugin as unknown as Plugin
}

/** Without its store the cache has nothing, and the app goes on: no reason to take the process out of service. */
async function health(service: RootCache, signal: AbortSignal): Promise<Health> {
  return service.ping(signal).then(
    () => ({ ok: true }),
    () => ({ ok: true, detail: 'degraded' }),
  )
}

function meterMemory(service: RootCache, metrics: Metrics): void {
  const gauges = {
    forge_cache_entries: { help: 'Entries in the memory of the process.', collect: () => service.stats().entries },
    forge_cache_bytes: { help: 'Memory that entries take, estimated.', collect: () => service.stats().bytes },
    forge_cache_pending: { help: 'Changes that wait for the store.', collect: () => service.stats().pending ?? 0 },
  }
  for (const [name, options] of Object.entries(gauges)) metrics.gauge(name, options)
  const evictions = metrics.counter('forge_cache_evictions_total', { help: 'Entries that left for want of room.' })
  evictions.collect({}, () => service.stats().evictions)
}
