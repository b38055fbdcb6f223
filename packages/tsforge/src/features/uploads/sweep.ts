import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import { startPeriodic } from '../../kernel/periodic.ts'
import type { CounterSeries } from '../../kernel/metrics.ts'
import type { Db } from '../../primitives/db/index.ts'
import type { Storage } from '../../primitives/storage/index.ts'
import { finalKey, stagedKey } from './places.ts'
import { deleteUpload, selectOverdue } from './upload-repository.ts'

const everyMs = 10 * 60_000
/** What began to arrive before its link ended has come or failed by then. */
const graceMs = 60 * 60_000
const batch = 100

export interface SweepParts {
  readonly db: Db
  readonly storage: Storage
  readonly clock: Clock
  readonly swept: CounterSeries
}

/** Deletes uploads that nobody finished: first what lies in the storage, so that nothing is forgotten there. */
export async function sweep({ db, storage, clock, swept }: SweepParts): Promise<number> {
  for (let all = 0; ;) {
    const overdue = await selectOverdue(db, new Date(clock.now() - graceMs), batch)
    for (const { id, tenantId } of overdue) {
      await storage.tenant(tenantId).deleteMany([stagedKey(id), finalKey(id)])
      await deleteUpload(db, id)
    }
    swept.add(overdue.length)
    all += overdue.length
    if (overdue.length < batch) return all
  }
}

/** Sweeps every ten minutes, one run at a time; safe on all replicas. The one place to hand it to a schedule of jobs. */
export function startSweeping(parts: SweepParts & { readonly log: Log }): () => Promise<void> {
  return startPeriodic(() => sweep(parts), {
    clock: parts.clock,
    log: parts.log,
    everyMs,
    failure: 'sweeping uploads failed',
  })
}
