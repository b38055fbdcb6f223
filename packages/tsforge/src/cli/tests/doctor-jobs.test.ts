import { expect, it } from 'vitest'
import { createJobs, defineJob } from '../../primitives/jobs/index.ts'
import { memory } from '../../primitives/jobs/drivers/memory.ts'
import { postgres } from '../../primitives/jobs/drivers/postgres.ts'
import { testDb } from '../../testing/index.ts'
import { examineJobs } from '../doctor/jobs.ts'

const migrations = [{ module: 'jobs', directory: new URL('../../primitives/jobs/migrations/', import.meta.url) }]
const job = defineJob({ kind: 'k', maxAttempts: 1 })

it('forge doctor tells how deep the queues are, who works, what waits too long and what has died', async () => {
  await using db = await testDb({ migrations })
  const jobs = createJobs(postgres({ db }))
  const doctor = () => examineJobs(jobs, db)
  await db.query(`do $$ declare t text; begin
    for t in select inhrelid::regclass::text from pg_inherits
      where inhparent = 'forge_jobs_done'::regclass and inhrelid::regclass::text ~ '[0-9]{8}$' loop execute 'drop table ' || t; end loop;
  end $$`)
  expect(await doctor()).toMatchObject({
    state: 'warning',
    detail: expect.stringContaining('no partition for tomorrow'),
  })
  await jobs.driver.maintain({ historyDays: 1, deadDays: 1 })
  await jobs.start()
  await jobs.enqueue(job, null)
  expect(await doctor()).toMatchObject({
    name: 'jobs',
    state: 'ok',
    detail: expect.stringMatching(/^1 ready, 0 running.*nobody/),
  })

  await db.query(`update forge_jobs set run_at = run_at - interval '10 minutes'`)
  expect(await doctor()).toMatchObject({
    state: 'warning',
    detail: expect.stringContaining('minutes in default'),
    fix: expect.stringContaining('forge worker'),
  })
  await jobs.pause('default')
  expect(await doctor()).toMatchObject({ state: 'ok', detail: expect.stringContaining('paused: default') })
  await jobs.resume('default')

  const step = { queue: 'default', worker: 'w', leaseMs: 30_000, kinds: ['k'], want: 1, finished: [], idle: false }
  const claim = (await jobs.driver.step(step)).jobs[0]!
  expect(await doctor()).toMatchObject({ state: 'ok', detail: expect.stringMatching(/1 running.*1 worker at it/) })
  const error = { name: 'Error', message: 'no' }
  await jobs.driver.step({
    ...step,
    want: 0,
    finished: [{ id: claim.id, lease: claim.lease, as: 'failed', error, delayMs: 0 }],
  })
  expect(await doctor()).toMatchObject({
    state: 'warning',
    detail: expect.stringContaining('1 dead'),
    fix: expect.stringContaining('redrive'),
  })
})

it('forge doctor has nothing to say of jobs in memory, and says what fails', async () => {
  await using db = await testDb()
  expect(await examineJobs(createJobs(memory()), db)).toMatchObject({ state: 'ok' })
  expect(await examineJobs(createJobs(postgres({ db })), db)).toMatchObject({ name: 'jobs', state: 'failed' })
})
