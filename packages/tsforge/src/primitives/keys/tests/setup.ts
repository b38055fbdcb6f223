import type { Clock } from '../../../kernel/clock.ts'
import { silentLog } from '../../../kernel/log.ts'
import { createSecrets } from '../../../kernel/secrets.ts'
import type { Secrets } from '../../../kernel/secrets.ts'
import type { Db } from '../../db/db.ts'
import { createKeys } from '../create-keys.ts'
import type { RunningKeys } from '../create-keys.ts'
import type { KeysOptions } from '../options.ts'

export const secrets: Secrets = createSecrets({ current: 'correct-horse-battery-staple-of-the-tests' })

export const options: KeysOptions = {
  issuer: 'https://api.test',
  audience: 'api',
  algorithm: 'EdDSA',
  rotateEveryMs: 30 * 86_400_000,
  maxTtlMs: 3_600_000,
  leewayMs: 5_000,
  refreshMs: 30_000,
  cacheEntries: 100,
  cacheBytes: 1_000_000,
}

export function replica(db: Db, clock: Clock, overrides: Partial<KeysOptions> = {}): RunningKeys {
  return createKeys({ db, clock, log: silentLog, secrets, options: { ...options, ...overrides } })
}
