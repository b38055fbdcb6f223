import { describe, expect, it } from 'vitest'
import { defineFeature } from '../../../http/feature.ts'
import { createTestApp } from '../../../testing/app.ts'
import { defineJob, handle, jobsPort } from '../index.ts'
import { jobs } from '../plugin.ts'
import type { RunningJobs } from '../plugin.ts'

const note = defineJob<{ readonly text: string }>({ kind: 'note.index' })

describe('an app with jobs', () => {
  it('runs what its features and its config declare, and brings the queue by itself', async () => {
    const ran: string[] = []
    const indexing = defineFeature({
      name: 'indexing',
      setup: () => 'indexer',
      jobs: (service) => [handle(note, ({ payload }) => void ran.push(`${service} ${payload.text}`))],
    })
    const other = defineJob({ kind: 'other' })
    const config = { name: 'test', features: [indexing], jobs: [handle(other, () => void ran.push('other'))] }
    await using app = await createTestApp({ config })
    const queue = app.get(jobsPort) as RunningJobs
    await queue.enqueue(note, { text: 'hello' })
    await queue.enqueue(other, null)
    expect(queue.worker.runner.status.state).toBe('new')
    expect(await queue.worker.runner.runUntilIdle()).toBe(2)
    expect(ran).toEqual(['indexer hello', 'other'])
  })

  it('runs them by itself where it works, and has ended that before its parts drain', async () => {
    const journal: string[] = []
    const done = Promise.withResolvers<void>()
    const indexing = defineFeature({
      name: 'indexing',
      setup: () => {},
      drain: () => void journal.push('drain'),
      jobs: () => [
        handle(note, async ({ signal }) => {
          journal.push('begin')
          done.resolve()
          await new Promise((resolve) => signal.addEventListener('abort', resolve))
          journal.push('abort')
        }),
      ],
    })
    const app = await createTestApp({ features: [indexing], env: { FORGE_JOBS_GRACE: '1s' } })
    await app.work()
    await app.get(jobsPort).enqueue(note, { text: 'x' })
    // What is added before the worker listens is found by its next look.
    await app.clock.advanceUntil(done.promise)
    expect(await app.client.get('/readyz')).toMatchObject({ status: 200 })
    await app.clock.advanceUntil(app.stop())
    expect(journal).toEqual(['begin', 'abort', 'drain'])
  })

  it('runs none where FORGE_JOBS_WORKER is off', async () => {
    const handler = handle(note, () => {})
    const config = { name: 'test', features: [], jobs: [handler] }
    await using app = await createTestApp({ config, env: { FORGE_JOBS_WORKER: 'off' } })
    await app.work()
    expect((app.get(jobsPort) as RunningJobs).worker.runner.status.state).toBe('new')
  })

  it('does not begin with two handlers for one kind, or queues that are no names', async () => {
    const handler = handle(note, () => {})
    const config = { name: 'test', features: [], jobs: [handler, handler] }
    await expect(createTestApp({ config })).rejects.toMatchObject({ code: 'jobs.definition_invalid' })
    await expect(
      createTestApp({ features: [jobs()], env: { FORGE_JOBS_QUEUES: 'default,mail=many' } }),
    ).rejects.toMatchObject({ code: 'config.invalid' })
  })
})
