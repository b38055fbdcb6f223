import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { testDb } from '../../../testing/db.ts'
import type { TestDb } from '../../../testing/db.ts'
import { postgres } from '../drivers/postgres.ts'
import { clear, migrations } from './lab.ts'

describe('history', () => {
  let db: TestDb
  beforeAll(async () => {
    db = await testDb({ migrations: [migrations] })
  }, 60_000)
  beforeEach(() => clear(db))
  afterAll(() => db[Symbol.asyncDispose]())

  const put = (id: number, at: string): Promise<unknown> =>
    db.query(
      `insert into forge_jobs_done (id, queue, priority, run_at, attempt, max_attempts, kind, payload, created_at, finished_at, cancelled)
       values ($1, 'q', 3, $2, 1, 3, 'k', '{}', $2, $2, false)`,
      [id, at],
    )
  const placeOf = async (id: number): Promise<string> =>
    (
      await db.query<{ place: string }>('select tableoid::regclass::text as place from forge_jobs_done where id = $1', [
        id,
      ])
    ).rows[0]!.place
  const partitions = async (ahead: number, keep: number): Promise<{ created: string[]; dropped: string[] }> =>
    (
      await db.query<{ made: { created: string[]; dropped: string[] } }>(
        'select forge_jobs_partitions($1, $2) as made',
        [ahead, keep],
      )
    ).rows[0]!.made

  it('lies in days of UTC, whatever the session and the month', async () => {
    const { rows } = await db.query<{ bound: string }>(
      `select pg_get_expr(c.relpartbound, c.oid) as bound from pg_class c
       where c.relispartition and c.relkind = 'r' and c.relname like 'forge_jobs_done_2%' order by c.relname limit 2`,
      [],
    )
    const last = (bound: string): string => /TO \('([^']*)'\)/.exec(bound)![1]!
    const first = (bound: string): string => /FROM \('([^']*)'\)/.exec(bound)![1]!
    expect(last(rows[0]!.bound)).toBe(first(rows[1]!.bound))
    await db.tx(async (tx) => {
      await tx.query(`set local timezone = 'Asia/Jakarta'`, [])
      const made = await tx.query<{ made: { created: string[] } }>('select forge_jobs_partitions(40, 3650) as made', [])
      expect(made.rows[0]!.made.created.length).toBeGreaterThan(30)
    })
    await db.tx(async (tx) => {
      await tx.query(`set local timezone = 'America/Los_Angeles'`, [])
      await tx.query('select forge_jobs_partitions(45, 3650)', [])
    })
    const { rows: days } = await db.query<{ day: string; start: string; next: string }>(
      `select to_char(d, 'YYYYMMDD') as day, d::text as start, (d + 1)::text as next
       from (select (now() at time zone 'UTC')::date + 40 as d) x`,
      [],
    )
    const { day, start, next } = days[0]!
    await put(1, `${start} 00:00:00+00`)
    await put(2, `${start} 23:59:59.999999+00`)
    await put(3, `${next} 00:00:00+00`)
    expect(await placeOf(1)).toBe(`forge_jobs_done_${day}`)
    expect(await placeOf(2)).toBe(`forge_jobs_done_${day}`)
    expect(await placeOf(3)).not.toBe(`forge_jobs_done_${day}`)
  })

  it('gets a partition also for a day that already has rows, and keeps them', async () => {
    const { rows } = await db.query<{ at: string; n: number }>(
      `select (now() + interval '60 days')::text as at, 60 as n`,
      [],
    )
    await put(7, rows[0]!.at)
    expect(await placeOf(7)).toBe('forge_jobs_done_default')
    await partitions(61, 3650)
    expect(await placeOf(7)).toMatch(/^forge_jobs_done_2/)
    expect((await partitions(61, 3650)).created).toEqual([])
  })

  it('is dropped by the day, not deleted by the row', async () => {
    await db.query(
      `create table forge_jobs_done_20200101 partition of forge_jobs_done
       for values from ('2020-01-01 00:00+00') to ('2020-01-02 00:00+00')`,
    )
    await put(1, '2020-01-01 12:00:00+00')
    const driver = postgres({ db })
    const { partitionsDropped } = await driver.maintain({ historyDays: 7, deadDays: 30 })
    expect(partitionsDropped).toEqual(['forge_jobs_done_20200101'])
    expect(await driver.get(1)).toBeUndefined()
  })

  it('forgets dead jobs after their time', async () => {
    await db.query(
      `insert into forge_jobs_dead (id, queue, priority, run_at, attempt, max_attempts, kind, payload, created_at, died_at, reason)
       select n, 'q', 3, now(), 1, 1, 'k', '{}', now(), now() - n * interval '1 day', 'failed' from generate_series(1, 4) n`,
    )
    const driver = postgres({ db })
    expect((await driver.maintain({ historyDays: 7, deadDays: 2.5 })).deadRemoved).toBe(2)
    expect(await driver.countDead({})).toBe(2)
  })
})
