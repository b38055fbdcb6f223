import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { isPglite } from '../../../testing/server.ts'
import { testDb } from '../../../testing/db.ts'
import type { TestDb } from '../../../testing/db.ts'
import type { Db } from '../../db/index.ts'
import type { ClaimedJob, Finished, JobsDriver, StepResult } from '../driver.ts'
import { postgres } from '../drivers/postgres.ts'
import { clear, fullScans, job, migrations } from './lab.ts'

const done = ({ id, lease }: ClaimedJob): Finished => ({ id, lease, as: 'done', keep: false })

// One connection has nobody to compete with.
describe.runIf(!isPglite())('claims over several connections', () => {
  let db: TestDb
  beforeAll(async () => {
    db = await testDb({ migrations: [migrations] })
  }, 60_000)
  beforeEach(() => clear(db))
  afterAll(() => db[Symbol.asyncDispose]())

  const step = (
    driver: JobsDriver,
    worker: string,
    want: number,
    finished: readonly Finished[] = [],
  ): Promise<StepResult> =>
    driver.step({ queue: 'q', worker, leaseMs: 30_000, kinds: ['k'], want, finished, idle: false })
  const count = async (table: string): Promise<number> =>
    (await db.query<{ n: number }>(`select count(*) as n from ${table}`, [])).rows[0]!.n

  it('eight workers claim each of 4000 jobs once and finish all', async () => {
    const adding = Array.from({ length: 40 }, () =>
      postgres({ db }).add(Array.from({ length: 100 }, (_, i) => job({ priority: i % 7 === 0 ? 1 : 3 }))),
    )
    const seen: number[] = []
    let left = 4000
    const work = async (place: number): Promise<void> => {
      const driver = postgres({ db: place % 2 === 0 ? db : other })
      let finished: Finished[] = []
      while (left > 0) {
        const { jobs, late } = await step(driver, `w${place}`, 37, finished)
        expect(late).toEqual([])
        seen.push(...jobs.map(({ id }) => id))
        left -= jobs.length
        finished = jobs.map(done)
      }
      await step(driver, `w${place}`, 0, finished)
    }
    const other = db.another()
    await Promise.all([...adding, ...Array.from({ length: 8 }, (_, i) => work(i))])
    expect(seen).toHaveLength(4000)
    expect(new Set(seen).size).toBe(4000)
    expect(await count('forge_jobs')).toBe(0)
  })

  it('limits are exact while eight connections claim and finish', async () => {
    const drivers = Array.from({ length: 8 }, () => postgres({ db, clock: fullScans() }))
    await drivers[0]!.configure('q', { concurrency: 7, perKey: { concurrency: 2 } })
    await drivers[0]!.add(Array.from({ length: 200 }, (_, i) => job({ key: `t${i % 5}` })))
    const running = new Map<string, number>()
    const worst = { all: 0, key: 0 }
    let left = 200
    const work = async (driver: JobsDriver, place: number): Promise<void> => {
      let held: ClaimedJob[] = []
      while (left > 0) {
        for (const one of held) running.set(one.key!, running.get(one.key!)! - 1)
        const { jobs } = await step(driver, `w${place}`, 3, held.map(done))
        for (const one of jobs) {
          const now = (running.get(one.key!) ?? 0) + 1
          running.set(one.key!, now)
          worst.key = Math.max(worst.key, now)
        }
        worst.all = Math.max(
          worst.all,
          [...running.values()].reduce((sum, n) => sum + n, 0),
        )
        left -= jobs.length
        held = [...jobs]
      }
      await step(driver, `w${place}`, 0, held.map(done))
    }
    await Promise.all(drivers.map(work))
    // What the answers showed may be less than what ran, never more than the limit.
    expect(worst.key).toBeLessThanOrEqual(2)
    expect(worst.all).toBeLessThanOrEqual(7)
    expect(worst.all).toBeGreaterThan(2)
    expect(await count('forge_jobs')).toBe(0)
  })

  it("one key's 20,000 jobs do not stand before another's single one", async () => {
    const driver = postgres({ db })
    await driver.configure('q', { concurrency: 10, fair: true })
    await driver.add(Array.from({ length: 20_000 }, () => job({ key: 'loud' })))
    const held = await step(driver, 'w', 4)
    expect(held.jobs).toHaveLength(4)
    const [{ id } = { id: 0 }] = (await driver.add([job({ key: 'quiet' })])).added
    expect((await step(driver, 'w', 1)).jobs).toMatchObject([{ id, key: 'quiet' }])
  })

  it('a step whose connection is killed leaves all as it was, and can be repeated', async () => {
    const driver = postgres({ db })
    await driver.add([job(), job()])
    const { jobs } = await step(driver, 'w', 1)
    const blocker = await db.another().connect()
    await blocker.query('begin', [])
    await blocker.query(`select pg_advisory_xact_lock(7701, hashtext('q'))`, [])
    const killed = step(driver, 'w', 1, jobs.map(done)).then(
      () => 'done',
      (error: { code?: string }) => error.code,
    )
    await expect
      .poll(async () => {
        const { rows } = await db.query<{ killed: boolean }>(
          `select pg_terminate_backend(pid) as killed from pg_stat_activity
           where query like '/* writes */ select forge_jobs_step%' and wait_event_type = 'Lock' and datname = current_database()`,
          [],
        )
        return rows.length
      })
      .toBe(1)
    expect(await killed).toBe('db.commit_unknown')
    await blocker.query('rollback', [])
    blocker.release()
    expect(await count('forge_jobs')).toBe(2)
    const again = await step(driver, 'w', 1, jobs.map(done))
    expect(again.late).toEqual([])
    expect(again.jobs).toHaveLength(1)
    expect(await count('forge_jobs')).toBe(1)
  })

  it('what commits late behind the mark is found by the next full scan', async () => {
    let now = 0
    const driver = postgres({ db, clock: { monotonic: () => now } })
    let early: number | undefined
    await db.tx(async (tx) => {
      early = (await driver.add([job({ delayMs: 0 })], { tx })).added[0]!.id
      await driver.add([job(), job(), job()])
      const first = await step(driver, 'w', 2)
      expect(first.jobs).toHaveLength(2)
      expect(first.jobs.map(({ id }) => id)).not.toContain(early)
    })
    now += 100
    expect((await step(driver, 'w', 1)).jobs.map(({ id }) => id)).not.toContain(early)
    now += 300
    expect((await step(driver, 'w', 1)).jobs.map(({ id }) => id)).toEqual([early])
  })
})

describe.runIf(!isPglite())('the work of a claim', () => {
  let db: TestDb
  beforeAll(async () => {
    db = await testDb({ migrations: [migrations] })
  }, 60_000)
  beforeEach(() => clear(db))
  afterAll(() => db[Symbol.asyncDispose]())

  /** Pages that a statement touched: what it does, on any machine and however busy. */
  async function pages(db: Db, text: string, values: unknown[]): Promise<number> {
    const { rows } = await db.query<{ 'QUERY PLAN': { Plan: Record<string, number> }[] }>(
      `explain (analyze, buffers, format json) ${text}`,
      values,
    )
    const plan = rows[0]!['QUERY PLAN'][0]!.Plan
    return plan['Shared Hit Blocks']! + plan['Shared Read Blocks']!
  }

  /** A claim of 20 as a driver sends it, with where its last one ended, rolled back. */
  function claim(db: Db, us: number, id: number, full = false): Promise<number> {
    const marks = [0, us, us, us, us]
    const ids = [0, id, id, id, id]
    return db
      .tx(async (tx) => {
        const touched = await pages(
          tx as unknown as Db,
          `select forge_jobs_step('q', 'w', 30000, '{k}', 20, '{}', '{}', '{}', '{}', '{}', '{}', '{}', null, $1, $2, '0', $3, false, false)`,
          [marks, ids, full],
        )
        throw Object.assign(new Error('undone'), { touched })
      })
      .catch((error: { touched?: number }) => {
        if (error.touched === undefined) throw error
        return error.touched
      })
  }

  /** The least of three: a plan is made again when autovacuum has been there, which reads the catalogue and ends of indexes. */
  const settled = async (us = 0, id = 0): Promise<number> =>
    Math.min(await claim(db, us, id), await claim(db, us, id), await claim(db, us, id))

  const fill = (rows: number, runAt = 'clock_timestamp()'): Promise<unknown> =>
    db.query(
      `insert into forge_jobs (queue, lane, priority, run_at, max_attempts, kind, payload, created_at)
       select 'q', 3, 3, ${runAt}, 3, 'k', '{}', now() from generate_series(1, ${rows})`,
    )

  it('is the same before 1,000 and before 300,000 waiting rows, without statistics', async () => {
    await fill(1000)
    const few = await settled()
    await fill(300_000)
    const many = await settled()
    expect(many).toBeLessThan(few * 2 + 50)
  }, 60_000)

  it('does not grow with jobs that are due tomorrow', async () => {
    await fill(100)
    const before = await settled()
    await fill(100_000, `now() + interval '1 day'`)
    expect(await settled()).toBeLessThan(before * 2 + 50)
  }, 60_000)

  it('does not grow with dead rows under a held snapshot, from the mark on', async () => {
    const holder = await db.another().connect()
    try {
      await fill(40_000)
      const { rows } = await db.query<{ us: number; id: number }>(
        `select (date_part('epoch', run_at) * 1e6)::bigint as us, id from forge_jobs order by run_at desc, id desc limit 1`,
        [],
      )
      await holder.query('begin isolation level repeatable read', [])
      await holder.query('select count(*) from forge_jobs', [])
      await db.query('delete from forge_jobs', [])
      await fill(100)
      const { us, id } = rows[0]!
      const fromMark = await settled(us, id)
      const fromStart = await claim(db, 0, 0)
      expect(fromMark).toBeLessThan(300)
      // The yardstick itself: without the mark the dead entries are walked over.
      expect(fromStart).toBeGreaterThan(fromMark * 2)
    } finally {
      await holder.query('rollback', [])
      holder.release()
    }
  }, 60_000)

  it('reads leases from the oldest living one on', async () => {
    const holder = await db.another().connect()
    const driver = postgres({ db, clock: fullScans() })
    try {
      await holder.query('begin isolation level repeatable read', [])
      await holder.query('select 1', [])
      await db.query(
        `insert into forge_jobs_leases (queue, worker, until, jobs) select 'q', 'w', now(), array[n] from generate_series(1, 20000) n`,
      )
      await db.query('delete from forge_jobs_leases', [])
      await driver.add(Array.from({ length: 10 }, () => job()))
      await driver.step({ queue: 'q', worker: 'w', leaseMs: 1000, kinds: ['k'], want: 1, finished: [], idle: false })
      const { rows } = await db.query<{ low: string }>('select tx::text as low from forge_jobs_leases', [])
      const read = (low: string): Promise<number> =>
        pages(
          db,
          `select jobs from forge_jobs_leases where queue = 'q' and tx >= '${low}'::xid8 order by queue, tx`,
          [],
        )
      expect(await read(rows[0]!.low)).toBeLessThan(20)
      expect(await read('0')).toBeGreaterThan(50)
    } finally {
      await holder.query('rollback', [])
      holder.release()
    }
  }, 60_000)
})
