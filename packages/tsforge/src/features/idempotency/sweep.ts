import type { Clock, Timer } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
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
  let running: Promise<unknown> | undefined
  let timer: Timer | undefined
  const wait = (): void => {
    timer = parts.clock.after(everyMs, () => {
      running = sweep(parts)
        .catch((error: unknown) => parts.log.warn({ err: error }, 'sweeping idempotency keys failed'))
        .finally(() => timer !== undefined && wait())
    })
  }
  wait()
  return async () => {
    timer?.cancel()
    timer = undefined
    await running
  }
}
