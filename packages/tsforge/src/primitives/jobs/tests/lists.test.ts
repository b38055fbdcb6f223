import { afterAll, beforeAll, expect, it } from 'vitest'
import { testDb } from '../../../testing/db.ts'
import type { TestDb } from '../../../testing/db.ts'
import type { Queryable } from '../../db/index.ts'
import type { JobFilter, JobState } from '../driver.ts'
import { listJobs } from '../drivers/postgres/records.ts'
import { migrations } from './lab.ts'

const tenant = '018f0000-0000-7000-8000-000000000001'
let db: TestDb
beforeAll(async () => {
  db = await testDb({ migrations: [migrations] })
  const columns = 'queue, priority, run_at, max_attempts, kind, payload, created_at'
  const values = `'q', 3, now(), 3, 'k', to_json(repeat('x', 500)), now()`
  const many = (rows: number, owner: string): string =>
    `from (select gen_random_uuid() as u, n from generate_series(1, ${rows}) n) t
     cross join lateral (select ${owner} as owner) o`
  const fill = async (rows: number, owner: string): Promise<void> => {
    await db.query(
      `insert into forge_jobs (${columns}, lane, tenant_id) select ${values}, 3, owner ${many(rows, owner)}`,
    )
    await db.query(
      `insert into forge_jobs_dead (${columns}, id, attempt, died_at, reason, tenant_id)
       select ${values}, 1000000 + n + (select count(*) from forge_jobs_dead), 1, now(), 'failed', owner ${many(rows, owner)}`,
    )
    await db.query(
      `insert into forge_jobs_done (${columns}, id, attempt, finished_at, cancelled, tenant_id)
       select ${values}, 2000000 + n, 1, now(), false, owner ${many(rows, owner)}`,
    )
  }
  await fill(100, `'${tenant}'::uuid`)
  await fill(30_000, `('018f0000-0000-7000-9000-' || lpad((n % 1000)::text, 12, '0'))::uuid`)
  await db.query('analyze forge_jobs, forge_jobs_dead, forge_jobs_done')
}, 60_000)
afterAll(() => db[Symbol.asyncDispose]())

/** Pages that the statement of a list touched. */
async function pages(filter: JobFilter): Promise<number> {
  let touched = 0
  const explained: Queryable = {
    query: async (text: string, values: unknown[]) => {
      const { rows } = await db.query<{ 'QUERY PLAN': { Plan: Record<string, number> }[] }>(
        `explain (analyze, buffers, format json) ${text}`,
        values,
      )
      const plan = rows[0]!['QUERY PLAN'][0]!.Plan
      touched = plan['Shared Hit Blocks']! + plan['Shared Read Blocks']!
      return { rows: [], rowCount: 0, fields: [] } as never
    },
  } as Queryable
  await listJobs(explained, { filter, limit: 20 })
  return touched
}

const filters: readonly JobState[][] = [[], ['dead'], ['ready'], ['done', 'cancelled'], ['dead', 'ready']]
it.each(filters.map((state) => [state]))('a tenant’s list of %j does not read what others have', async (state) => {
  const filter = { tenantId: tenant, ...(state.length > 0 && { state }) }
  await pages(filter)
  expect(await pages(filter)).toBeLessThan(1200)
  expect(await listJobs(db, { filter, limit: 20 })).toHaveLength(20)
})
