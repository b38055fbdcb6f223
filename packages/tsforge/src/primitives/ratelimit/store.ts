import { systemClock } from '../../kernel/clock.ts'
import type { Clock } from '../../kernel/clock.ts'
import { silentLog } from '../../kernel/log.ts'
import { createMetrics } from '../../kernel/metrics.ts'
import type { Counter } from '../../kernel/metrics.ts'
import { memory } from './drivers/memory.ts'
import type { RatelimitDriver } from './driver.ts'
import { Guard } from './guard.ts'
import type { RatelimitSettings } from './ratelimit.ts'

/** What all limits of one `createRatelimit` share. */
export class Store {
  readonly driver: RatelimitDriver
  readonly guard: Guard
  /** Decides while the driver is lost. */
  readonly local: RatelimitDriver
  readonly replicas: number
  readonly clock: Clock
  readonly decisions: Counter
  readonly losses: Counter

  constructor(driver: RatelimitDriver, settings: RatelimitSettings) {
    const { clock = systemClock, log = silentLog, metrics = createMetrics() } = settings
    const { deadlineMs = 40, retryMs = 500, replicas = 1, localKeys = 100_000 } = settings
    this.driver = driver
    this.clock = clock
    this.replicas = replicas
    this.guard = new Guard({ driver: driver.name, clock, log, deadlineMs, retryMs: Math.max(retryMs, deadlineMs) })
    this.local = memory({ clock, keys: localKeys })
    this.decisions = metrics.counter('forge_ratelimit_decisions_total', {
      help: 'Calls that asked for leave',
      labelNames: ['limit', 'result'],
    })
    this.losses = metrics.counter('forge_ratelimit_lost_total', {
      help: 'Decisions by policy, since the store did not answer',
      labelNames: ['limit', 'policy'],
    })
  }
}
