import type { Clock } from '../kernel/clock.ts'
import type { Db, Queryable } from '../primitives/db/index.ts'
import type { Finished, JobId, JobRecord, JobsDriver, NewJob } from '../primitives/jobs/index.ts'

/** What the test's clock has not reached yet lies this far off in the store, so that no real time ever reaches it. */
const farMs = 200 * 366 * 86_400_000

/**
 * Makes a store that lives by the database's clock live by the test's: times are turned on their way in and out, and `promote` lets
 * those come that the test's clock has reached. Changes the driver in place, since an app's parts hold it already.
 */
export function keepTestTime(driver: JobsDriver, db: Db, clock: Pick<Clock, 'now'>): { promote(): Promise<void> } {
  /** What the test means by the time of a job that came by another one. */
  const times = new Map<JobId, number>()
  /** A wait from the database's now that ends never, until promoted: `ms` from the test's now. */
  const far = (ms: number): number => clock.now() + ms + farMs - Date.now()
  const shown = (job: JobRecord): JobRecord => {
    const stored = job.runAt.getTime()
    const meant = stored > Date.now() + farMs / 2 ? stored - farMs : times.get(job.id)
    return meant === undefined ? job : { ...job, runAt: new Date(meant) }
  }
  const turned = (job: NewJob): NewJob => {
    const due = job.runAtMs ?? clock.now() + job.delayMs
    const { dedupe } = job
    return {
      ...job,
      delayMs: 0,
      runAtMs: due > clock.now() ? due + farMs : due > Date.now() || job.runAtMs === undefined ? undefined : due,
      ...(dedupe?.windowMs !== undefined && { dedupe: { ...dedupe, windowMs: far(dedupe.windowMs) } }),
    }
  }
  const later = (report: Finished): Finished =>
    'delayMs' in report && report.delayMs > 0 ? { ...report, delayMs: far(report.delayMs) } : report

  /** The database has its own idea of when a wait began: milliseconds that a test would trip over. */
  const pin = async (moments: ReadonlyMap<JobId, number>, tx: Queryable = db): Promise<void> => {
    if (moments.size === 0) return
    await tx.query(
      `update forge_jobs j set run_at = to_timestamp((u.at + $3::float8) / 1000)
       from unnest($1::bigint[], $2::float8[]) as u (id, at)
       where j.id = u.id and j.run_at > now() + $3::float8 / 2 * interval '1 millisecond'`,
      [[...moments.keys()], [...moments.values()], farMs],
    )
  }

  const { add, step, get, list } = {
    add: driver.add.bind(driver),
    step: driver.step.bind(driver),
    get: driver.get.bind(driver),
    list: driver.list.bind(driver),
  }
  const replaced: Pick<JobsDriver, 'add' | 'step' | 'get' | 'list'> = {
    async add(jobs, options) {
      const result = await add(jobs.map(turned), options)
      const debounced = new Map<JobId, number>()
      for (const [i, { id, outcome }] of result.added.entries()) {
        const { runAtMs, dedupe } = jobs[i]!
        if (id === undefined || outcome === 'existing' || outcome === 'throttled') continue
        if (dedupe?.mode === 'debounce') debounced.set(id, clock.now() + dedupe.windowMs!)
        else if (runAtMs !== undefined) times.set(id, runAtMs)
      }
      await pin(debounced, options?.tx)
      return result
    },
    async step(request) {
      const waits = new Map<JobId, number>()
      for (const report of request.finished) {
        if (!('delayMs' in report)) continue
        times.delete(report.id)
        if (report.delayMs > 0) waits.set(report.id, clock.now() + report.delayMs)
      }
      const result = await step({ ...request, finished: request.finished.map(later) })
      await pin(waits)
      return { ...result, jobs: result.jobs.map((job) => ({ ...job, runAtMs: times.get(job.id) ?? job.runAtMs })) }
    },
    async get(id) {
      const job = await get(id)
      return job && shown(job)
    },
    list: async (request) => (await list(request)).map(shown),
  }
  Object.assign(driver, replaced)

  return {
    async promote() {
      // Half a millisecond is for what is lost in rounding, 400 years from the epoch.
      const reached = [farMs / 1000, clock.now() / 1000]
      const { rows } = await db.query<{ id: JobId; at: number }>(
        `with due as (
           select id, run_at from forge_jobs
           where run_at > now() + $1::float8 / 2 * interval '1 second' and run_at <= to_timestamp($1::float8 + $2::float8 + 0.0005) for update
         )
         update forge_jobs j set run_at = least(due.run_at - $1::float8 * interval '1 second', now())
         from due where j.id = due.id
         returning j.id, date_part('epoch', due.run_at) * 1000 as at`,
        reached,
      )
      for (const { id, at } of rows) times.set(id, at - farMs)
      await db.query(
        `delete from forge_jobs_throttles
         where until > now() + $1::float8 / 2 * interval '1 second' and until <= to_timestamp($1::float8 + $2::float8 + 1)`,
        reached,
      )
    },
  }
}
