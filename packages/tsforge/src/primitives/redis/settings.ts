import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import type { Metrics } from '../../kernel/metrics.ts'
import type { RedisConnectionEvent } from './events.ts'

/** What every connection of a client goes by. */
export interface ClientSettings {
  readonly deadlineMs: number
  readonly connectMs: number
  readonly clock: Clock
  readonly metrics: Metrics | undefined
  readonly log: Log
  readonly onEvent: (event: RedisConnectionEvent) => void
}
