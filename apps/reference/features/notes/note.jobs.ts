import type { Clock } from 'tsforge/clock'
import type { Db } from 'tsforge/db'
import { defineJob, defineSchedule, handle } from 'tsforge/jobs'
import type { JobHandler, Schedule } from 'tsforge/jobs'
import { Type } from 'tsforge/schema'

/** Removes for good what was deleted long ago. */
export const purgeNotes = defineJob({
  kind: 'notes.purge',
  schema: Type.Object({ keepDays: Type.Integer({ minimum: 1 }) }),
  maxAttempts: 5,
})

export const purgeNightly: Schedule = defineSchedule({
  name: 'notes.purge',
  description: 'Removes notes a month after they were deleted',
  cron: '30 3 * * *',
  job: purgeNotes,
  payload: { keepDays: 30 },
})

/** Rows of one statement: short locks, whatever has piled up. */
const batch = 1000

export function noteJobs({ db, clock }: { readonly db: Db; readonly clock: Clock }): readonly JobHandler[] {
  return [
    handle(purgeNotes, async ({ payload, signal, progress }) => {
      const before = new Date(clock.now() - payload.keepDays * 86_400_000)
      let removed = 0
      // Whatever ends it early, the next run goes on.
      for (let last = batch; last === batch; removed += last, progress({ removed })) {
        signal.throwIfAborted()
        const { rowCount } = await db.query(
          'delete from notes where id in (select id from notes where deleted_at < $1 limit $2)',
          [before, batch],
        )
        last = rowCount ?? 0
      }
      return { removed }
    }),
  ]
}
