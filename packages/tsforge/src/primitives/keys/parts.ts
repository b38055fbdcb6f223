import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import type { Secrets } from '../../kernel/secrets.ts'
import type { Db } from '../db/index.ts'
import type { KeysOptions } from './options.ts'

/** What the service is made of. */
export interface KeysParts {
  readonly db: Db
  readonly options: KeysOptions
  readonly clock: Clock
  readonly log: Log
  readonly secrets: Secrets
}
