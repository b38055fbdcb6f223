import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import { startPeriodic } from '../../kernel/periodic.ts'
import type { CounterSeries } from '../../kernel/metrics.ts'
import type { IdempotencyDriver } from './driver.ts'

const everyMs = 5 * 60_000
/** Keys of one statement: short locks, whatever has piled up. */
const batch = 1_000

export interface SweepParts {
  readonly driver: IdempotencyDriver
  readonly swept: CounterSeries
}

/** Deletes keys whose time is over. Safe on all replicas at once, and never needed for correctness. */
export async function sweep({ driver, swept }: SweepParts): Promise<number> {
  let all = 0
  for (;;) {
    const removed = await driver.sweep(batch)
    swept.add(removed)
    all += removed
    if (removed < batch) return all
  }
}

/** Sweeps every five minutes, one run at a time. Returns what stops it. */
export function startSweeping(parts: SweepParts & { readonly clock: Clock; readonly log: Log }): () => Promise<void> {
  return startPeriodic(() => sweep(parts), {
    clock: parts.clock,
    log: parts.log,
    everyMs,
    failure: 'sweeping idempotency keys failed',
  })
}
