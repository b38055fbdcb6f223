import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import type { CounterSeries } from '../../kernel/metrics.ts'
import { startPeriodic } from '../../kernel/periodic.ts'
import type { Db } from '../../primitives/db/index.ts'
import type { Jobs } from '../../primitives/jobs/index.ts'
import { begin, holdStale, selectStale } from './deliveries/again.ts'
import type { Stale } from './deliveries/again.ts'

const everyMs = 10 * 60_000
const batch = 500
/** What should have been tried so long ago may have lost its job. */
const staleMs = 86_400_000

export interface SweepParts {
  readonly db: Db
  readonly jobs: Jobs
  readonly clock: Clock
  readonly retentionMs: number
  readonly swept: CounterSeries
}

/** Removes messages after their time, with their deliveries and attempts; what is still on its way stays. */
export async function sweep({ db, jobs, clock, retentionMs, swept }: SweepParts): Promise<number> {
  const before = new Date(clock.now() - retentionMs)
  let all = 0
  for (let last = batch; last === batch; all += last) {
    const { rowCount } = await db.query(
      `delete from forge_webhooks_messages where id in (
         select m.id from forge_webhooks_messages m
         where m.created_at < $1 and not exists (
           select 1 from forge_webhooks_deliveries d where d.message_id = m.id and d.state = 'pending')
         limit ${batch} for update skip locked)`,
      [before],
    )
    last = rowCount ?? 0
    swept.add(last)
  }
  // Endpoints that were deleted stay until nothing refers to them.
  await db.query(
    `delete from forge_webhooks_endpoints e where deleted_at < $1
       and not exists (select 1 from forge_webhooks_deliveries d where d.endpoint_id = e.id)`,
    [before],
  )
  await mend({ db, jobs, clock })
  return all
}

/** Gives a new job to deliveries whose own was cancelled or removed by somebody. */
export async function mend({ db, jobs, clock }: Pick<SweepParts, 'db' | 'jobs' | 'clock'>): Promise<void> {
  const before = new Date(clock.now() - staleMs)
  let after: Stale | undefined
  // Thousands may wait rightly, for days, behind the first one of an ordered endpoint.
  for (;;) {
    const stale = await selectStale(db, before, batch, after)
    for (const delivery of stale) {
      const job = delivery.jobId === null ? undefined : await jobs.get(delivery.jobId)
      const ended = job === undefined || ['done', 'dead', 'cancelled'].includes(job.state)
      if (!ended) continue
      // Its job may have ended since because it has been sent.
      await db.tx(async (tx) => {
        if (await holdStale(tx, delivery)) await begin(tx, jobs, [delivery])
      })
    }
    if (stale.length < batch) return
    after = stale.at(-1)
  }
}

/** Sweeps every ten minutes, one run at a time; safe on all replicas. Returns what stops it. */
export function startSweeping(parts: SweepParts & { readonly log: Log }): () => Promise<void> {
  return startPeriodic(() => sweep(parts), {
    clock: parts.clock,
    log: parts.log,
    everyMs,
    failure: 'sweeping webhooks failed',
  })
}
