import { defineFeature } from '../../http/feature.ts'
import type { Feature } from '../../http/feature.ts'
import type { Route } from '../../http/route.ts'
import type { Health, Port } from '../../kernel/plugin.ts'
import { chooseDriver } from './choose-driver.ts'
import { createStorage } from './create-storage.ts'
import type { StorageDriver } from './driver.ts'
import { storageErrors } from './errors.ts'
import { storageOptions } from './options.ts'
import type { StorageOptions } from './options.ts'
import { storagePort } from './storage.ts'
import type { RootStorage } from './storage.ts'

interface Opened extends RootStorage {
  readonly routes: readonly Route[]
}

/** Provides `storagePort`. A driver of your own comes in with `storage(driver)`. */
export function storage(driver?: StorageDriver): Feature {
  return defineFeature<StorageOptions, Record<never, never>, Opened>({
    name: 'storage',
    options: storageOptions,
    // The plugin itself knows more of the service than its users do.
    provides: storagePort as Port<Opened>,
    errors: storageErrors,
    setup: async ({ options, app, clock, metrics, secrets }) => {
      const chosen = driver ?? (await chooseDriver({ options, app, clock }))
      const { url, linkTtlMs: linkTtl } = options
      const origin = url === undefined ? '' : new URL(url).origin
      const service = createStorage(chosen, { clock, metrics, secrets, origin, linkTtl })
      return Object.assign(service, { routes: await routesOf(service, chosen) })
    },
    stop: (service) => service.close(),
    health,
    routes: (service) => service.routes,
  })
}

/** Loaded for stores whose links the app serves, and for no other. */
async function routesOf({ links }: RootStorage, driver: StorageDriver): Promise<readonly Route[]> {
  return links === undefined ? [] : (await import('./routes.ts')).storageRoutes({ driver, links })
}

/** Without its store the app goes on with all else: no reason to take the process out of service. */
async function health(service: RootStorage, signal: AbortSignal): Promise<Health> {
  return service.ping(signal).then(
    () => ({ ok: true }),
    () => ({ ok: true, detail: 'degraded' }),
  )
}
