import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import type { Db } from '../../primitives/db/index.ts'
import type { Keys } from '../../primitives/keys/index.ts'
import type { Tenants } from '../tenants/index.ts'
import type { Passwords } from './hasher.ts'
import type { Listeners } from './listener.ts'
import type { AccountsOptions } from './options.ts'
import type { Revocations } from './revocations.ts'
import type { Throttle } from './throttle.ts'

/** What the module's functions work with. */
export interface Parts {
  readonly db: Db
  readonly keys: Keys
  readonly tenants: Tenants
  readonly clock: Clock
  readonly log: Log
  readonly options: AccountsOptions
  readonly passwords: Passwords
  readonly throttle: Throttle
  readonly revocations: Revocations
  readonly listeners: Listeners
}
