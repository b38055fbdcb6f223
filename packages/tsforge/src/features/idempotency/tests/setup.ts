import { silentLog } from '../../../kernel/log.ts'
import { createMetrics } from '../../../kernel/metrics.ts'
import type { Metrics } from '../../../kernel/metrics.ts'
import type { MigrationSource } from '../../../kernel/plugin.ts'
import { createSecrets } from '../../../kernel/secrets.ts'
import type { Secrets } from '../../../kernel/secrets.ts'
import type { Clock } from '../../../kernel/clock.ts'
import { createIdempotency } from '../create-idempotency.ts'
import type { IdempotencyDriver } from '../driver.ts'
import type { RunningIdempotency } from '../idempotency.ts'
import type { IdempotencyOptions } from '../options.ts'

export const secrets: Secrets = createSecrets({ current: 'correct-horse-battery-staple-of-the-tests' })

export const migrations: readonly MigrationSource[] = [
  { module: 'idempotency', directory: new URL('../migrations/', import.meta.url) },
]

export const options: Omit<IdempotencyOptions, 'driver'> = {
  ttlMs: 86_400_000,
  leaseMs: 30_000,
  waitMs: 1_000,
  waiters: 200,
  answerBytes: 262_144,
  onLoss: 'closed',
}

export interface Desk {
  readonly driver: IdempotencyDriver
  readonly clock: Clock
  readonly metrics?: Metrics
  readonly secrets?: Secrets
  readonly options?: Partial<IdempotencyOptions>
}

export function desk({ options: over, ...parts }: Desk): RunningIdempotency {
  return createIdempotency({
    log: silentLog,
    metrics: createMetrics(),
    secrets,
    options: { ...options, ...over },
    ...parts,
  })
}

/** `driver` with some of its methods replaced. */
export function altered(driver: IdempotencyDriver, over: Partial<IdempotencyDriver>): IdempotencyDriver {
  return { ...driver, ...over }
}
