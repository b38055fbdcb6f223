import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import { startPeriodic } from '../../kernel/periodic.ts'
import type { Db } from '../../primitives/db/index.ts'

const everyMs = 60_000
/** Periods of minutes and hours are nothing to look back on; late refunds and commits still find them. */
const shortMs = 2 * 60 * 60_000
/** Rows of one statement: short locks, whatever has piled up. */
const batch = 1_000

export interface SweepParts {
  readonly db: Db
  readonly clock: Clock
  readonly log: Log
  readonly retentionMs: number
  /** As in `QuotaParts`. */
  readonly time?: Clock
}

/** Deletes what has had its time: reservations, periods, events. Safe on all replicas at once. Returns how many rows went. */
export async function sweep({ db, retentionMs, time }: SweepParts, signal?: AbortSignal): Promise<number> {
  const now = time === undefined ? null : new Date(time.now())
  const before = (table: string, column: string, which: string) => (ageMs: number) =>
    drain(signal, async () => {
      const { rowCount } = await db.query(
        `delete from ${table} where ctid in (
           select ctid from ${table}
           where ${column} < coalesce($1::timestamptz, now()) - $2 * interval '1 ms' and ${which} limit $3 for update skip locked)`,
        [now, ageMs, batch],
      )
      return rowCount ?? 0
    })
  return (
    (await before('forge_quota_reservations', 'expires_at', 'true')(0)) +
    (await before('forge_quota_counters', 'ends_at', `per in ('minute', 'hour')`)(shortMs)) +
    (await before('forge_quota_counters', 'ends_at', 'true')(retentionMs)) +
    (await before('forge_quota_events', 'occurred_at', 'true')(retentionMs))
  )
}

async function drain(signal: AbortSignal | undefined, removeSome: () => Promise<number>): Promise<number> {
  let total = 0
  for (let removed = batch; removed === batch && signal?.aborted !== true; total += removed)
    removed = await removeSome()
  return total
}

/** Sweeps every minute, one run at a time. Returns what stops it. */
export function startSweeping(parts: SweepParts): () => Promise<void> {
  return startPeriodic((signal) => sweep(parts, signal), {
    clock: parts.clock,
    log: parts.log,
    everyMs,
    failure: 'sweeping quotas failed',
  })
}
