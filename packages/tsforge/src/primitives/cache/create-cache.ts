import { systemClock } from '../../kernel/clock.ts'
import type { CacheSettings, RootCache } from './cache.ts'
import { createCodec } from './codec.ts'
import { Core } from './core.ts'
import type { CacheDriver } from './driver.ts'
import { cacheErrors } from './errors.ts'
import { Meter } from './meter.ts'
import { Space } from './space.ts'

const mebibyte = 2 ** 20

/** A cache over `driver`. Throws `cache.option_invalid` and `cache.key_invalid` for bad settings. */
export function createCache<V = unknown>(driver: CacheDriver, settings: CacheSettings = {}): RootCache<V> {
  const { namespace = 'default', clock = systemClock, metrics, random = Math.random } = settings
  const { maxValueBytes = mebibyte, ...defaults } = settings
  const meter = new Meter(metrics)
  const core = new Core(driver, clock, meter, random)
  const corrupt = (): void => meter.failed(undefined, 'decode', cacheErrors.error('cache.corrupt'))
  const opened = core.attempt(undefined, 'start', () =>
    driver.start?.({
      clock,
      codec: createCodec({ maxBytes: maxValueBytes, onCorrupt: corrupt }),
      invalidated: (change) => core.loads.note(change),
      failed: (operation, error) => meter.failed(undefined, operation, error),
    }),
  )
  const space = new Space<V>(core, namespace, defaults)
  return Object.assign(space, {
    ready: async () => void (await opened),
    ping: async (signal: AbortSignal) => driver.ping?.(signal),
    stats: () => driver.stats?.() ?? { entries: 0, bytes: 0, evictions: 0 },
    close: async () => {
      core.loads.note({})
      await driver.close()
    },
  })
}
