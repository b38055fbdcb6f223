import type { Queryable } from '../../../db/index.ts'
import type {
  DeadReason,
  JobError,
  JobFilter,
  JobId,
  JobMeta,
  JobRecord,
  JobState,
  ListRequest,
  Priority,
  QueueStats,
} from '../../driver.ts'

interface RecordRow {
  readonly id: JobId
  readonly kind: string
  readonly queue: string
  readonly state: JobState
  readonly priority: Priority
  readonly attempt: number
  readonly max_attempts: number
  readonly payload: unknown
  readonly run_at: Date
  readonly created_at: Date
  readonly finished_at: Date | null
  readonly run_ms: number | null
  readonly tenant_id: string | null
  readonly key: string | null
  readonly dedupe: string | null
  readonly tags: readonly string[] | null
  readonly meta: JobMeta | null
  readonly timeout_ms: number | null
  readonly progress: unknown
  readonly output: unknown
  readonly error: JobError | null
  readonly reason: DeadReason | null
  readonly cancel_requested: boolean
  readonly worker: string | null
}

export async function oneJob(db: Queryable, id: JobId): Promise<JobRecord | undefined> {
  const { rows } = await db.query<RecordRow>('select * from forge_jobs_view where id = $1 limit 1', [id])
  return rows[0] && recordOf(rows[0])
}

/** The view is a union, so that each table gives its newest by its own index. */
export async function listJobs(db: Queryable, { filter, limit, before }: ListRequest): Promise<JobRecord[]> {
  const { where, values } = conditions(filter, true)
  if (before !== undefined) where.push(`id < $${values.push(before)}`)
  const ended = allEnded(filter.state)
  if (ended !== undefined) where.push(ended ? 'ended' : 'not ended')
  const { rows } = await db.query<RecordRow>(
    `select * from forge_jobs_view${whereText(where)} order by id desc limit $${values.push(limit)}`,
    values,
  )
  return rows.map(recordOf)
}

/** Whether all of these states are ends; `undefined`: some are. The view leaves out what a constant rules out. */
function allEnded(state: JobFilter['state']): boolean | undefined {
  if (state === undefined) return undefined
  const found = new Set((typeof state === 'string' ? [state] : state).map((each) => ends.has(each)))
  return found.size === 1 ? found.has(true) : undefined
}

const ends: ReadonlySet<JobState> = new Set<JobState>(['done', 'dead', 'cancelled'])

export async function countDead(db: Queryable, filter: JobFilter): Promise<number> {
  const { where, values } = conditions(filter, false)
  const { rows } = await db.query<{ n: number }>(`select count(*) as n from forge_jobs_dead${whereText(where)}`, values)
  return rows[0]!.n
}

/** The oldest of the dead. */
export async function deadIds(db: Queryable, filter: JobFilter, limit: number): Promise<JobId[]> {
  if (limit < 1) return []
  const { where, values } = conditions(filter, false)
  const { rows } = await db.query<{ id: JobId }>(
    `select id from forge_jobs_dead${whereText(where)} order by id limit $${values.push(limit)}`,
    values,
  )
  return rows.map((row) => row.id)
}

export async function removeDead(db: Queryable, filter: JobFilter): Promise<number> {
  const { where, values } = conditions(filter, false)
  const { rowCount } = await db.query(`delete from forge_jobs_dead${whereText(where)}`, values)
  return rowCount ?? 0
}

function conditions(filter: JobFilter, withState: boolean): { where: string[]; values: unknown[] } {
  const where: string[] = []
  const values: unknown[] = []
  const is = (condition: (place: string) => string, value: unknown): void => {
    if (value !== undefined) where.push(condition(`$${values.push(value)}`))
  }
  if (withState && filter.state !== undefined)
    is((place) => `state = any (${place}::text[])`, typeof filter.state === 'string' ? [filter.state] : filter.state)
  is((place) => `queue = ${place}`, filter.queue)
  is((place) => `kind = ${place}`, filter.kind)
  is((place) => `tenant_id = ${place}`, filter.tenantId)
  is((place) => `${place} = any (tags)`, filter.tag)
  is((place) => `key = ${place}`, filter.key)
  is((place) => `id = any (${place}::bigint[])`, filter.ids)
  return { where, values }
}

function whereText(where: readonly string[]): string {
  return where.length === 0 ? '' : ` where ${where.join(' and ')}`
}

function recordOf(row: RecordRow): JobRecord {
  return {
    id: row.id,
    kind: row.kind,
    queue: row.queue,
    state: row.state,
    priority: row.priority,
    attempt: row.attempt,
    maxAttempts: row.max_attempts,
    payload: row.payload,
    runAt: row.run_at,
    createdAt: row.created_at,
    finishedAt: row.finished_at ?? undefined,
    runMs: row.run_ms ?? undefined,
    tenantId: row.tenant_id ?? undefined,
    key: row.key ?? undefined,
    dedupeKey: row.dedupe ?? undefined,
    tags: row.tags ?? [],
    meta: row.meta ?? {},
    timeoutMs: row.timeout_ms ?? undefined,
    progress: row.progress ?? undefined,
    output: row.output ?? undefined,
    error: row.error ?? undefined,
    deadReason: row.reason ?? undefined,
    cancelRequested: row.cancel_requested,
    worker: row.worker ?? undefined,
  }
}

interface CountRow {
  readonly queue: string
  readonly state: JobState
  readonly n: number
  readonly oldest_ms: number | null
  readonly paused: boolean
}

/** Ended jobs are counted for the last day, from two partitions: all of history would be counted for ever longer. */
export async function statsOf(
  db: Queryable,
  queue: string | undefined,
  tenantId: string | undefined,
): Promise<QueueStats[]> {
  const { rows } = await db.query<CountRow>(
    `with leased as materialized (select unnest(jobs) as id from forge_jobs_leases), counts as (
       select queue, case when id in (select id from leased) then 'running' when attempt > 0 then 'retrying'
           when run_at > now() then 'scheduled' else 'ready' end as state, count(*) as n,
         date_part('epoch', now() - min(run_at) filter (where id not in (select id from leased))) * 1000 as oldest_ms
       from forge_jobs where ($1::text is null or queue = $1) and ($2::uuid is null or tenant_id = $2) group by 1, 2
       union all
       select queue, 'dead', count(*), null from forge_jobs_dead
       where ($1::text is null or queue = $1) and ($2::uuid is null or tenant_id = $2) group by 1
       union all
       select queue, case when cancelled then 'cancelled' else 'done' end, count(*), null from forge_jobs_done
       where finished_at > now() - interval '1 day' and ($1::text is null or queue = $1)
         and ($2::uuid is null or tenant_id = $2) group by 1, 2
     )
     select coalesce(c.queue, q.queue) as queue, state, n, oldest_ms, coalesce(q.paused, false) as paused
     from counts c full join (select * from forge_jobs_queues where $1::text is null or queue = $1) q on q.queue = c.queue
     order by 1`,
    [queue ?? null, tenantId ?? null],
  )
  const queues = new Map<
    string,
    { queue: string; counts: Record<JobState, number>; oldestMs: number; paused: boolean }
  >()
  for (const row of rows) {
    let stats = queues.get(row.queue)
    if (stats === undefined)
      queues.set(row.queue, (stats = { queue: row.queue, counts: noCounts(), oldestMs: 0, paused: row.paused }))
    if (row.state === null) continue
    stats.counts[row.state] = row.n
    if (row.state === 'ready' || row.state === 'retrying')
      stats.oldestMs = Math.max(stats.oldestMs, Math.round(row.oldest_ms ?? 0))
  }
  return [...queues.values()]
}

function noCounts(): Record<JobState, number> {
  return { scheduled: 0, ready: 0, running: 0, retrying: 0, done: 0, dead: 0, cancelled: 0 }
}
