import type { Jobs } from '../../primitives/jobs/index.ts'
import type { Db } from '../../primitives/db/index.ts'
import { broken, fine } from './finding.ts'
import type { Finding } from './finding.ts'

/** A due job that nobody has taken for so long waits for a worker that is not there. */
const lateMs = 5 * 60_000

/** How deep the queues are, what has died, who works, and whether history has partitions ahead. */
export async function examineJobs(jobs: Jobs, db: Db): Promise<Finding> {
  const name = 'jobs'
  if (!jobs.driver.capabilities.shared) return fine(name, 'in memory of the running app')
  try {
    const stats = await jobs.stats()
    const sum = (state: 'ready' | 'retrying' | 'scheduled' | 'running' | 'dead'): number =>
      stats.reduce((total, { counts }) => total + counts[state], 0)
    const { workers, ahead } = await facts(db)
    const late = stats.filter(({ paused, oldestMs }) => !paused && oldestMs > lateMs).map(({ queue }) => queue)
    const paused = stats.filter((each) => each.paused).map(({ queue }) => queue)
    const detail = [
      `${sum('ready')} ready, ${sum('running')} running, ${sum('retrying')} retrying, ${sum('scheduled')} scheduled, ${sum('dead')} dead`,
      workers === 0 ? 'nobody holds a job now' : `${workers} worker${workers === 1 ? '' : 's'} at it`,
      ...(paused.length > 0 ? [`paused: ${paused.join(', ')}`] : []),
    ].join('; ')
    const warning = (what: string, fix: string): Finding => ({
      name,
      state: 'warning',
      detail: `${detail}; ${what}`,
      fix,
    })
    if (late.length > 0)
      return warning(
        `due for minutes in ${late.join(', ')}`,
        'Run forge start or forge worker with handlers for these jobs, or more of them; see forge jobs stats.',
      )
    if (sum('dead') > 0)
      return warning('some have died', 'See forge jobs --state dead; forge jobs redrive runs them again.')
    if (ahead === 0)
      return warning(
        'history has no partition for tomorrow',
        'Keep one forge start or forge worker running: it makes them.',
      )
    return fine(name, detail)
  } catch (error) {
    return broken(name, error)
  }
}

async function facts(db: Db): Promise<{ readonly workers: number; readonly ahead: number }> {
  const { rows } = await db.query<{ workers: number; ahead: number }>(
    `select (select count(distinct worker) from forge_jobs_leases where until > now()) as workers,
       (select count(*) from pg_inherits where inhparent = 'forge_jobs_done'::regclass
         and inhrelid::regclass::text >= 'forge_jobs_done_' || to_char((now() at time zone 'UTC') + interval '1 day', 'YYYYMMDD')
         and inhrelid::regclass::text ~ '[0-9]{8}$') as ahead`,
  )
  const [{ workers, ahead } = { workers: 0, ahead: 0 }] = rows
  return { workers: Number(workers), ahead: Number(ahead) }
}
