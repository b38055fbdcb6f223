import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createDb } from '../../../db/index.ts'
import { postgres as connect } from '../../../db/drivers/postgres.ts'
import { createRunner } from '../create-runner.ts'
import type { Runner } from '../runner.ts'
import { createJobs } from '../../create-jobs.ts'
import { defineJob } from '../../define-job.ts'
import { postgres } from '../../drivers/postgres.ts'
import type { Jobs } from '../../jobs.ts'
import { handle } from '../handler.ts'
import type { JobHandler } from '../handler.ts'
import type { RunnerOptions } from '../settings.ts'
import { clear, migrations } from '../../tests/lab.ts'
import { testDb } from '../../../../testing/db.ts'
import type { TestDb } from '../../../../testing/db.ts'

const work = defineJob<number>({ kind: 'work', backoff: { baseMs: 1, capMs: 1 } })

let db: TestDb
let jobs: Jobs
const runners: Runner[] = []

beforeAll(async () => {
  db = await testDb({ migrations: [migrations] })
  jobs = createJobs(postgres({ db }))
  await jobs.start()
})
beforeEach(() => clear(db))
afterAll(async () => {
  await db[Symbol.asyncDispose]()
})

function run(handlers: readonly JobHandler[], options: RunnerOptions = {}, on: Jobs = jobs): Runner {
  const runner = createRunner({ jobs: on, handlers, options })
  runners.push(runner)
  runner.start()
  return runner
}

async function stopAll(): Promise<void> {
  for (const runner of runners.splice(0)) {
    await runner.drain()
    await runner.stop()
  }
}

/** Looks until it is so; the test's own time limit ends it. */
async function until(so: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await so())) await sleep(5)
}

async function counts(): Promise<Record<string, number>> {
  const [stats] = await jobs.stats()
  return { ...stats?.counts }
}

describe('runners on a real database', () => {
  it('run each job once, whatever their number, and leave no lease', async () => {
    const ran = new Map<number, number>()
    const handlers = [
      handle(work, async ({ payload }) => {
        await Promise.resolve()
        ran.set(payload, (ran.get(payload) ?? 0) + 1)
      }),
    ]
    await jobs.enqueueMany(
      work,
      Array.from({ length: 3000 }, (_, payload) => ({ payload })),
    )
    run(handlers)
    run(handlers)
    await until(() => ran.size === 3000)
    await stopAll()
    expect([...ran.values()].every((n) => n === 1)).toBe(true)
    expect(await counts()).toMatchObject({ done: 3000, ready: 0, running: 0, retrying: 0, dead: 0 })
    const { rows } = await db.query('select count(*) as n from forge_jobs_leases')
    expect(rows).toEqual([{ n: 0 }])
  })

  it('hear of work that another process adds long before they would look', async () => {
    if (!db.capabilities.listen) return
    const elsewhere = createJobs(postgres({ db: db.another() }))
    let ran = 0
    run([handle(work, () => void ran++)], { pollMs: 30_000 })
    for (let n = 1; n <= 3; n++) {
      await sleep(50)
      await elsewhere.enqueue(work, n)
      await until(() => ran === n)
    }
    await stopAll()
  })

  it('tell a handler of another process that its job was cancelled', async () => {
    if (!db.capabilities.concurrent) return
    const began = Promise.withResolvers<void>()
    run([
      handle(work, ({ signal }) => {
        began.resolve()
        return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)))
      }),
    ])
    const { id } = await jobs.enqueue(work, 1)
    await began.promise
    const elsewhere = createJobs(postgres({ db: db.another() }))
    expect(await elsewhere.cancel(id!)).toBe('requested')
    await until(async () => (await jobs.get(id!))?.state === 'cancelled')
    await stopAll()
  })

  it('come back by themselves when the server ends all of their connections, again and again', async () => {
    if (db.url === undefined) return
    const own = createDb(connect({ url: db.url, applicationName: 'fragile' }))
    const ran = new Map<number, number>()
    run(
      [
        handle(work, async ({ payload }) => {
          await sleep(1)
          ran.set(payload, (ran.get(payload) ?? 0) + 1)
        }),
      ],
      { concurrency: 20, leaseMs: 5000, rescueBackoff: { baseMs: 1, capMs: 1 } },
      createJobs(postgres({ db: own })),
    )
    for (let round = 0; round < 5; round++) {
      await jobs.enqueueMany(
        work,
        Array.from({ length: 200 }, (_, n) => ({ payload: round * 200 + n })),
      )
      await sleep(30)
      await db.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name like 'fragile%'`,
      )
    }
    await until(() => ran.size === 1000)
    // One whose process stood still for longer than its lease comes again before it is done.
    await until(async () => (await counts())['done'] === 1000)
    expect(await counts()).toMatchObject({ ready: 0, running: 0, retrying: 0, dead: 0 })
    await stopAll()
    await own.close()
  })

  it('hold a limit over all of them, and use all of it', async () => {
    if (!db.capabilities.concurrent) return
    let now = 0
    let most = 0
    const handlers = [
      handle(work, async () => {
        most = Math.max(most, ++now)
        await sleep(3)
        now--
      }),
    ]
    await jobs.configure('default', { concurrency: 4 })
    await jobs.enqueueMany(
      work,
      Array.from({ length: 60 }, (_, payload) => ({ payload })),
    )
    run(handlers)
    run(handlers)
    await until(async () => (await counts())['done'] === 60)
    await stopAll()
    expect(most).toBe(4)
  })

  it('find jobs that are handed back by a runner that stops at once', async () => {
    const gate = Promise.withResolvers<void>()
    const first = run([handle(work, () => gate.promise)], { concurrency: 10, graceMs: 0 })
    await jobs.enqueueMany(
      work,
      Array.from({ length: 10 }, (_, payload) => ({ payload })),
    )
    await until(() => first.status.running === 10)
    await first.drain()
    await first.stop()
    let ran = 0
    run([handle(work, () => void ran++)])
    await until(() => ran === 10)
    await stopAll()
    expect(await counts()).toMatchObject({ done: 10, retrying: 0 })
    gate.resolve()
  })
})
