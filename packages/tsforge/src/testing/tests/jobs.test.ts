import { describe, expect, it } from 'vitest'
import { defineFeature } from '../../http/feature.ts'
import { dbPort } from '../../primitives/db/index.ts'
import type { Db } from '../../primitives/db/index.ts'
import { defineJob, defineSchedule, Discard, handle, jobsPort, RetryAfter } from '../../primitives/jobs/index.ts'
import type { Jobs } from '../../primitives/jobs/index.ts'
import { Type } from '../../http/schema.ts'
import { createFakeClock, createTestApp } from '../index.ts'
import type { TestApp } from '../index.ts'

const mail = defineJob({
  kind: 'mail.send',
  queue: 'mail',
  schema: Type.Object({ to: Type.String(), n: Type.Optional(Type.Integer()) }),
})
const chain = defineJob({ kind: 'chain.link', schema: Type.Object({ left: Type.Integer() }) })
const flaky = defineJob({
  kind: 'flaky.run',
  maxAttempts: 3,
  backoff: { baseMs: 3_600_000, capMs: 3_600_000 },
  schema: Type.Object({ how: Type.String() }),
})

interface Parts {
  readonly jobs: Jobs
  readonly db: Db
  readonly ran: string[]
  readonly times: number[]
}

async function open(env: Record<string, string> = {}): Promise<{ app: TestApp; parts: Parts }> {
  let parts: Parts
  const post = defineFeature({
    name: 'post',
    needs: { jobs: jobsPort, db: dbPort },
    setup: ({ jobs, db }): Parts => (parts = { jobs, db, ran: [], times: [] }),
    schedules: () => [
      defineSchedule({
        name: 'nightly',
        cron: '0 3 * * *',
        timeZone: 'Europe/Berlin',
        job: mail,
        payload: { to: 'night' },
      }),
    ],
    jobs: ({ jobs, ran, times }: Parts) => [
      handle(mail, ({ payload, job }) => {
        ran.push(payload.to)
        times.push(job.runAtMs)
      }),
      handle(chain, async ({ payload: { left } }) => {
        ran.push(`chain ${left}`)
        if (left > 0) await jobs.enqueue(chain, { left: left - 1 })
      }),
      handle(flaky, ({ payload: { how }, attempt }) => {
        ran.push(`${how} ${attempt}`)
        if (how === 'later') throw new RetryAfter(60_000)
        if (how === 'discard') throw new Discard('no')
        throw new Error('out of order')
      }),
    ],
  })
  const clock = createFakeClock(Date.UTC(2026, 2, 28, 12))
  const app = await createTestApp({ features: [post], env, clock })
  return { app, parts: parts! }
}

describe.each([
  ['postgres', {}],
  ['memory', { FORGE_JOBS_DRIVER: 'memory' }],
])('jobs of a test app, in %s', (_, env) => {
  it('run when they are drained and not before, with all that they add', async () => {
    const { app, parts } = await open(env)
    await using _ = app
    await parts.jobs.enqueue(mail, { to: 'ada' })
    await parts.jobs.enqueue(chain, { left: 3 }, { queue: 'elsewhere' })
    await app.clock.advance(600_000)
    expect(parts.ran).toEqual([])
    expect(await app.jobs.drain()).toBe(5)
    expect(parts.ran.toSorted()).toEqual(['ada', 'chain 0', 'chain 1', 'chain 2', 'chain 3'])
    expect(await app.jobs.drain()).toBe(0)
  })

  it('come due by the clock of the test, to the millisecond and in order', async () => {
    const { app, parts } = await open(env)
    await using _ = app
    const start = app.clock.now()
    await parts.jobs.enqueue(mail, { to: 'second' }, { delayMs: 7_200_000 })
    await parts.jobs.enqueue(mail, { to: 'first' }, { runAt: new Date(start + 3_600_000) })
    await app.jobs.expectEnqueued(mail, { state: 'scheduled', runAt: new Date(start + 7_200_000), times: 1 })
    await app.clock.advance(3_599_999)
    expect(await app.jobs.drain()).toBe(0)
    await app.clock.advance(1)
    expect(await app.jobs.drain()).toBe(1)
    // What is added after the clock has moved waits from there.
    await parts.jobs.enqueue(mail, { to: 'third' }, { delayMs: 3_600_001 })
    await app.clock.advance(3_600_000)
    expect(await app.jobs.drain()).toBe(1)
    await app.clock.advance(1)
    expect(await app.jobs.drain()).toBe(1)
    expect(parts.ran).toEqual(['first', 'second', 'third'])
    expect(parts.times.map((at) => Math.round(at) - start)).toEqual([3_600_000, 7_200_000, 7_200_001])
  })

  it('are debounced and throttled by the clock of the test', async () => {
    const { app, parts } = await open(env)
    await using _ = app
    const debounce = { key: 'd', mode: 'debounce', windowMs: 60_000 } as const
    const throttle = { key: 't', mode: 'throttle', windowMs: 600_000 } as const
    await parts.jobs.enqueue(mail, { to: 'old' }, { dedupe: debounce })
    await app.clock.advance(59_999)
    await parts.jobs.enqueue(mail, { to: 'new' }, { dedupe: debounce })
    await parts.jobs.enqueue(mail, { to: 'once' }, { dedupe: throttle })
    await parts.jobs.enqueue(mail, { to: 'twice' }, { dedupe: throttle })
    expect(await app.jobs.drain()).toBe(1)
    await app.clock.advance(59_999)
    expect(await app.jobs.drain()).toBe(0)
    await app.clock.advance(1)
    expect(await app.jobs.drain()).toBe(1)
    await app.clock.advance(600_000)
    await app.jobs.drain()
    await parts.jobs.enqueue(mail, { to: 'again' }, { dedupe: throttle })
    expect(await app.jobs.drain()).toBe(1)
    expect(parts.ran).toEqual(['once', 'new', 'again'])
  })

  it('of schedules come at their ticks, across the change to summer time', async () => {
    const { app, parts } = await open(env)
    await using _ = app
    expect(await app.jobs.drain()).toBe(0)
    for (let day = 0; day < 2; day++) {
      await app.clock.advance(86_400_000)
      expect(await app.jobs.drain()).toBe(1)
    }
    // The clock of Berlin jumps from 2 to 3 on the 29th.
    expect(parts.times).toEqual([Date.UTC(2026, 2, 29, 1), Date.UTC(2026, 2, 30, 1)])
  })

  it('fail loudly, unless that is what the test is about', async () => {
    const { app, parts } = await open(env)
    await using _ = app
    await parts.jobs.enqueue(flaky, { how: 'throw' })
    await expect(app.jobs.drain()).rejects.toThrow(/flaky\.run \d+ failed in attempt 1: .*out of order/)
    for (let n = 0; n < 2; n++) {
      await app.clock.advance(3_600_000)
      expect(await app.jobs.drain({ failing: true })).toBe(1)
    }
    await app.jobs.expectEnqueued(flaky, { state: 'dead', times: 1 })
    expect(parts.ran).toEqual(['throw 1', 'throw 2', 'throw 3'])
  })

  it('that ask for another time or give up have not failed', async () => {
    const { app, parts } = await open(env)
    await using _ = app
    await parts.jobs.enqueue(flaky, { how: 'later' })
    await parts.jobs.enqueue(flaky, { how: 'discard' })
    expect(await app.jobs.drain()).toBe(2)
    await app.clock.advance(59_999)
    expect(await app.jobs.drain()).toBe(0)
    await app.clock.advance(1)
    expect(await app.jobs.drain()).toBe(1)
    expect(parts.ran.toSorted()).toEqual(['discard 1', 'later 1', 'later 2'])
  })

  it('are found by part of what they are, and missed by name', async () => {
    const { app, parts } = await open(env)
    await using _ = app
    await parts.jobs.enqueue(mail, { to: 'ada', n: 1 }, { tags: ['welcome'] })
    await parts.jobs.enqueue(mail, { to: 'bob', n: 2 })
    const [found] = await app.jobs.expectEnqueued(mail, { payload: { to: 'ada' }, queue: 'mail', tag: 'welcome' })
    expect(found?.payload).toEqual({ to: 'ada', n: 1 })
    await app.jobs.expectEnqueued(mail, { payload: { to: expect.any(String) as string }, times: 2 })
    await app.jobs.expectNotEnqueued(mail, { payload: { to: 'eve' } })
    await app.jobs.expectNotEnqueued(chain)
    await expect(app.jobs.expectEnqueued(mail, { payload: { to: 'eve' } })).rejects.toThrow(/found 0\n.*"bob"/)
    await expect(app.jobs.expectEnqueued(mail, { times: 3 })).rejects.toThrow(
      'expected 3 jobs of kind "mail.send", found 2',
    )
    await expect(app.jobs.expectNotEnqueued(mail, { payload: { n: 2 } })).rejects.toThrow('expected no job')
    await expect(app.jobs.expectEnqueued(chain)).rejects.toThrow('there is none of this kind')
  })

  it('run at once in inline mode, and wait again behind it', async () => {
    const { app, parts } = await open(env)
    await using _ = app
    {
      await using __ = app.jobs.inline()
      await parts.jobs.enqueue(chain, { left: 1 })
      expect(parts.ran).toEqual(['chain 1', 'chain 0'])
      await expect(parts.jobs.enqueue(flaky, { how: 'throw' })).rejects.toThrow('out of order')
    }
    await parts.jobs.enqueue(chain, { left: 0 })
    expect(parts.ran).toHaveLength(3)
  })
})

describe('jobs of a transaction', () => {
  it('run inline behind the commit, and never without it', async () => {
    const { app, parts } = await open()
    await using _ = app
    await using __ = app.jobs.inline()
    await parts.db.tx(async (tx) => {
      await parts.jobs.enqueue(mail, { to: 'ada' }, {}, tx)
      expect(parts.ran).toEqual([])
    })
    const undone = parts.db.tx(async (tx) => {
      await parts.jobs.enqueue(mail, { to: 'eve' }, {}, tx)
      throw new Error('undo')
    })
    await expect(undone).rejects.toThrow('undo')
    await app.jobs.drain()
    expect(parts.ran).toEqual(['ada'])
    await app.jobs.expectNotEnqueued(mail, { payload: { to: 'eve' } })
  })
})
