import { defineFeature } from '../../http/feature.ts'
import type { Authenticator, Feature } from '../../http/feature.ts'
import type { Port } from '../../kernel/plugin.ts'
import { dbPort } from '../../primitives/db/index.ts'
import { keysPort } from '../../primitives/keys/index.ts'
import { tenantsPort } from '../tenants/index.ts'
import { accountsPort, createAccounts } from './accounts.ts'
import type { Accounts, RunningAccounts } from './accounts.ts'
import { accountsErrors } from './errors.ts'
import { accountsOptions } from './options.ts'
import type { AccountsOptions } from './options.ts'
import { accountsRoutes } from './routes.ts'

interface Needs {
  readonly db: typeof dbPort
  readonly keys: typeof keysPort
  readonly tenants: typeof tenantsPort
  readonly [name: string]: Port<unknown>
}

/** Users, passwords, sessions and their tokens, with the routes under `/api/v1/auth` and `/api/v1/me/sessions`. */
export function accounts(): Feature {
  return defineFeature<AccountsOptions, Needs, RunningAccounts>({
    name: 'accounts',
    options: accountsOptions,
    needs: { db: dbPort, keys: keysPort, tenants: tenantsPort },
    // The plugin itself knows more of the service than its users do.
    provides: accountsPort as Port<RunningAccounts>,
    errors: accountsErrors,
    migrations: { module: 'accounts', directory: new URL('./migrations/', import.meta.url) },
    setup: ({ db, keys, tenants, clock, log, options, metrics, app }) => {
      if (options.hashInsecure && app.environment !== 'test') {
        throw new TypeError('FORGE_ACCOUNTS_HASH_INSECURE is for the environment "test" alone')
      }
      const service = createAccounts({ db, keys, tenants, clock, log, options, metrics })
      metrics.gauge('forge_accounts_hashes_running', {
        help: 'Password hashes being computed',
        collect: () => service.passwords.running,
      })
      metrics.gauge('forge_accounts_hashes_waiting', {
        help: 'Password hashes waiting for a place',
        collect: () => service.passwords.waiting,
      })
      metrics.gauge('forge_accounts_revocations', {
        help: 'Revoked sessions remembered',
        collect: () => service.revocations.size,
      })
      return service
    },
    start: (service) => service.start(),
    stop: (service) => service.stop(),
    health: async (service) => (service.revocations.stale ? { ok: false, detail: 'revocations stale' } : { ok: true }),
    routes: accountsRoutes,
    authenticator: (service) => ({
      name: 'bearer',
      scheme: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT', description: 'Access token of a login.' },
      authenticate: bearer(service),
      recheck: service.recheck,
    }),
  })
}

function bearer({ authenticate }: Accounts): Authenticator {
  return ({ authorization }) => {
    if (authorization === undefined || authorization.scheme !== 'bearer') return undefined
    // Whatever is no JWT is left to others that take bearer credentials, such as API keys.
    return authorization.value.includes('.') ? authenticate(authorization.value) : undefined
  }
}
