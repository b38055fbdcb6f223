export { cachePort } from './cache.ts'
export type { Cache, CacheSettings, NamespaceOptions, RootCache } from './cache.ts'
export type { CacheValues } from './copies.ts'
export { createCache } from './create-cache.ts'
export type {
  Awaitable,
  CacheBus,
  CacheCapabilities,
  CacheChange,
  CacheCodec,
  CacheDriver,
  CacheDriverParts,
  CacheEntry,
  CacheShelf,
  CacheSlot,
  CacheStats,
  CacheWrite,
  DecodedEntry,
  NearCacheDriver,
} from './driver.ts'
export { cacheErrors } from './errors.ts'
export type { CacheErrorCode } from './errors.ts'
export { failureChannel, requestChannel } from './events.ts'
export type { CacheFailureEvent, CacheRequestEvent, CacheResult } from './events.ts'
export type { Loader, LoadContext } from './load.ts'
export type { CacheCounts } from './meter.ts'
export type { LoadOptions, WriteOptions } from './policy.ts'
export { cache } from './plugin.ts'
export type { Remembered, RememberOptions } from './remember.ts'
