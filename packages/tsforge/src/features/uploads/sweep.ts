import type { Clock } from '../../kernel/clock.ts'
import type { CounterSeries } from '../../kernel/metrics.ts'
import type { Db } from '../../primitives/db/index.ts'
import { defineJob, defineSchedule, handle } from '../../primitives/jobs/index.ts'
import type { Job, JobHandler, Schedule } from '../../primitives/jobs/index.ts'
import type { Storage } from '../../primitives/storage/index.ts'
import { finalKey, stagedKey } from './places.ts'
import { claimOverdue, closeUpload, deleteUpload } from './upload-repository.ts'

/** What began to arrive before its link ended has come or failed by then. */
const graceMs = 60 * 60_000
const batch = 100

export interface SweepParts {
  readonly db: Db
  readonly storage: Storage
  readonly clock: Clock
  readonly swept: CounterSeries
}

const uploadsSweep: Job = defineJob({ kind: 'uploads.sweep', maxAttempts: 5, keepDone: false })

/** One run at a time, on whichever replica. */
export const sweepSchedule: Schedule = defineSchedule({
  name: 'uploads.sweep',
  job: uploadsSweep,
  every: '10m',
  options: { dedupe: 'uploads.sweep' },
  description: 'Deletes uploads that nobody finished',
})

export function sweepHandler(parts: SweepParts): JobHandler {
  return handle(uploadsSweep, async ({ signal }) => ({ swept: await sweep(parts, signal) }))
}

/**
 * Deletes uploads that nobody finished, and what links have stored behind their upload's back. Files go first, then rows:
 * nothing is forgotten in the storage.
 */
async function sweep({ db, storage, clock, swept }: SweepParts, signal: AbortSignal): Promise<number> {
  for (let all = 0; ;) {
    const overdue = await claimOverdue(db, new Date(clock.now() - graceMs), batch)
    for (const { id, tenantId, state } of overdue) {
      signal.throwIfAborted()
      const files = storage.tenant(tenantId)
      if (state === 'ready') {
        await files.delete(stagedKey(id))
        await closeUpload(db, id)
        continue
      }
      await files.deleteMany([stagedKey(id), finalKey(id)])
      await deleteUpload(db, id)
      if (state === 'removed') continue
      swept.add(1)
      all++
    }
    if (overdue.length < batch) return all
  }
}
