import { defineFeature } from '../../http/feature.ts'
import type { Feature } from '../../http/feature.ts'
import type { Port } from '../../kernel/plugin.ts'
import { dbPort } from '../db/index.ts'
import { createKeys } from './create-keys.ts'
import type { RunningKeys } from './create-keys.ts'
import { keysErrors } from './errors.ts'
import { keysPort } from './keys.ts'
import { keysOptions } from './options.ts'
import type { KeysOptions } from './options.ts'
import { keysRoutes } from './routes.ts'

/** Signing keys with rotation, and the public key set at `/.well-known/jwks.json`. */
export function keys(): Feature {
  return defineFeature<KeysOptions, { readonly db: typeof dbPort }, RunningKeys>({
    name: 'keys',
    options: keysOptions,
    needs: { db: dbPort },
    // The plugin itself knows more of the service than its users do.
    provides: keysPort as Port<RunningKeys>,
    errors: keysErrors,
    migrations: { module: 'keys', directory: new URL('./migrations/', import.meta.url) },
    setup: ({ db, options, clock, log, secrets, metrics }) => {
      const service = createKeys({ db, options, clock, log, secrets })
      metrics.gauge('forge_keys_token_cache_entries', {
        help: 'Verified tokens in memory',
        collect: () => service.cache.size,
      })
      metrics.gauge('forge_keys_token_cache_bytes', {
        help: 'Memory taken by verified tokens',
        collect: () => service.cache.bytes,
      })
      metrics.gauge('forge_keys_token_cache_hits', {
        help: 'Tokens found verified since the start',
        collect: () => service.cache.hits,
      })
      metrics.gauge('forge_keys_token_cache_misses', {
        help: 'Tokens not found since the start',
        collect: () => service.cache.misses,
      })
      return service
    },
    start: (service) => service.start(),
    stop: (service) => service.stop(),
    health: async (service) => (service.ready ? { ok: true } : { ok: false, detail: 'no signing key' }),
    routes: keysRoutes,
  })
}
