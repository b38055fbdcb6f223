import { Type } from 'typebox'
import { describe, expect, it } from 'vitest'
import { createContext, currentContext, runWithContext } from '../../../../kernel/context.ts'
import type { RequestContext } from '../../../../kernel/context.ts'
import { createMetrics } from '../../../../kernel/metrics.ts'
import { defineJob } from '../../define-job.ts'
import { jobFinished, jobStarted } from '../../events.ts'
import type { JobFinished } from '../../events.ts'
import { Discard, handle, JobAborted, RetryAfter, Snooze } from '../handler.ts'
import { createRunner } from '../create-runner.ts'
import { aborted, lab } from './lab.ts'

const greet = defineJob<{ readonly name: string }>({ kind: 'greet', maxAttempts: 3 })

describe('a run', () => {
  it('gets its payload and the facts of its job, and its output is kept', async () => {
    await using it = lab()
    const { id } = await it.jobs.enqueue(greet, { name: 'Ada' }, { tags: ['x'] })
    const runner = it.runner([
      handle(greet, async ({ payload, job, attempt }) => ({
        hello: payload.name,
        id: job.id,
        tags: job.tags,
        attempt,
      })),
    ])
    expect(await runner.runUntilIdle()).toBe(1)
    expect(await it.jobs.get(id!)).toMatchObject({
      state: 'done',
      output: { hello: 'Ada', id, tags: ['x'], attempt: 1 },
    })
  })

  it('happens in the name, tenant and trace of whoever added the job', async () => {
    await using it = lab()
    const actor = { kind: 'user', id: '6f9619ff-8b86-4011-b42d-00cf4fc964ff' } as const
    const trace = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331', sampled: true }
    const tenantId = '7f9619ff-8b86-4011-b42d-00cf4fc964ff'
    const context = createContext({ requestId: 'r1', actor, tenantId, trace })
    const { id } = await runWithContext(context, () => it.jobs.enqueue(greet, { name: 'Ada' }))
    await it.jobs.enqueue(greet, { name: 'nobody' })
    const seen: (RequestContext | undefined)[] = []
    await it
      .runner([
        handle(greet, async () => {
          await Promise.resolve()
          seen.push(currentContext())
        }),
      ])
      .runUntilIdle()
    expect(seen[0]).toMatchObject({ requestId: String(id), actor, tenantId, trace })
    expect(seen[0]?.signal).toBeInstanceOf(AbortSignal)
    expect(seen[1]).toMatchObject({ actor: { kind: 'system', id: null }, tenantId: null, trace: undefined })
    expect(currentContext()).toBeUndefined()
  })

  it('that throws, rejects or throws nothing sensible is tried again, and dead after its last attempt', async () => {
    await using it = lab()
    const once = defineJob<string>({ kind: 'once', maxAttempts: 1 })
    const twice = defineJob<string>({ kind: 'twice', maxAttempts: 2, backoff: { baseMs: 1, capMs: 1 } })
    const hostile = {
      get message(): string {
        throw new Error('no')
      },
    }
    const ids = await Promise.all([
      it.jobs.enqueue(once, 'sync'),
      it.jobs.enqueue(once, 'async'),
      it.jobs.enqueue(once, 'hostile'),
      it.jobs.enqueue(once, 'undefined'),
      it.jobs.enqueue(twice, 'async'),
    ])
    const fail = ({ payload }: { readonly payload: string }): unknown => {
      if (payload === 'sync') throw new TypeError('sync fault')
      // eslint-disable-next-line typescript/prefer-promise-reject-errors
      if (payload === 'hostile') return Promise.reject(Object.setPrototypeOf(hostile, Error.prototype))
      // eslint-disable-next-line typescript/prefer-promise-reject-errors
      if (payload === 'undefined') return Promise.reject(undefined)
      return Promise.reject(new Error('async fault'))
    }
    const runner = it.runner([handle(once, fail), handle(twice, fail)])
    await runner.runUntilIdle()
    const states = await Promise.all(ids.map(async ({ id }) => it.jobs.get(id!)))
    expect(states.map((job) => job?.state)).toEqual([
      'dead',
      'dead',
      'dead',
      'dead',
      expect.stringMatching(/retrying|dead/),
    ])
    expect(states[0]).toMatchObject({ deadReason: 'failed', error: { name: 'TypeError', message: 'sync fault' } })
    expect(states[4]).toMatchObject({ error: { message: 'async fault' } })
  })

  it('says with RetryAfter, Snooze and Discard what is to become of it', async () => {
    await using it = lab()
    const ids = await Promise.all(['later', 'asleep', 'never'].map((name) => it.jobs.enqueue(greet, { name })))
    await it
      .runner([
        handle(greet, ({ payload }) => {
          if (payload.name === 'later') throw new RetryAfter(60_000, 'rate limited')
          if (payload.name === 'asleep') throw new Snooze(60_000)
          throw new Discard('no such user')
        }),
      ])
      .runUntilIdle()
    const [later, asleep, never] = await Promise.all(ids.map(async ({ id }) => it.jobs.get(id!)))
    expect(later).toMatchObject({ state: 'retrying', attempt: 1, error: { message: 'rate limited' } })
    expect(later!.runAt.getTime() - it.clock.now()).toBe(60_000)
    expect(asleep).toMatchObject({ state: 'scheduled', attempt: 0 })
    expect(never).toMatchObject({ state: 'dead', deadReason: 'discarded', error: { message: 'no such user' } })
  })

  it.each([Number.NaN, -1, Number.POSITIVE_INFINITY])('takes RetryAfter(%d) for a time that can be stored', (ms) => {
    const { delayMs } = new RetryAfter(ms)
    expect(delayMs).toBeGreaterThanOrEqual(0)
    expect(new Date(Date.now() + delayMs).getTime()).not.toBeNaN()
  })

  it('does not begin with a payload that its schema no longer takes: that is a failed attempt', async () => {
    await using it = lab()
    const old = defineJob({ kind: 'resize', schema: Type.Object({ width: Type.String() }) })
    const now = defineJob({ kind: 'resize', schema: Type.Object({ width: Type.Number() }), maxAttempts: 3 })
    const { id } = await it.jobs.enqueue(old, { width: '12' })
    let ran = false
    await it.runner([handle(now, () => (ran = true))]).runUntilIdle()
    expect(ran).toBe(false)
    expect(await it.jobs.get(id!)).toMatchObject({
      state: 'retrying',
      attempt: 1,
      error: { message: expect.stringContaining('/width') },
    })
  })

  it('keeps what it did when its output cannot be kept', async () => {
    await using it = lab()
    const ids = await Promise.all(['big', 'circle', 'int'].map((name) => it.jobs.enqueue(greet, { name })))
    const circle: Record<string, unknown> = {}
    circle['self'] = circle
    const outputs: Record<string, unknown> = { big: 'x'.repeat(300_000), circle, int: 1n }
    await it.runner([handle(greet, ({ payload }) => outputs[payload.name])]).runUntilIdle()
    for (const { id } of ids) expect(await it.jobs.get(id!)).toMatchObject({ state: 'done', output: undefined })
  })

  it('is told to stop when its time is up, and left behind when it does not', async () => {
    await using it = lab()
    const quick = defineJob({ kind: 'quick', timeoutMs: 1000, maxAttempts: 1 })
    const deaf = defineJob({ kind: 'deaf', timeoutMs: 1000, maxAttempts: 1 })
    const reasons: unknown[] = []
    const runner = it.runner(
      [
        handle(quick, async ({ signal }) => {
          reasons.push(await aborted(signal))
          throw new Error('stopped')
        }),
        handle(deaf, () => new Promise(() => {})),
      ],
      { concurrency: 2 },
    )
    const first = await it.jobs.enqueue(quick, null)
    const second = await it.jobs.enqueue(deaf, null)
    runner.start()
    await it.settle()
    await it.clock.advance(999)
    expect(reasons).toEqual([])
    await it.clock.advance(50)
    expect(reasons).toEqual([expect.objectContaining({ reason: 'timeout' })])
    expect(reasons[0]).toBeInstanceOf(JobAborted)
    expect(await it.jobs.get(first.id!)).toMatchObject({ state: 'dead', error: { name: 'JobAborted' } })
    expect(runner.status.running).toBe(1)
    await it.clock.advance(6000)
    expect(runner.status.running).toBe(0)
    expect(await it.jobs.get(second.id!)).toMatchObject({ state: 'dead', error: { name: 'JobAborted' } })
  })

  it('writes how far it is at most once a second, and the latest of it', async () => {
    const written: string[] = []
    await using it = lab()
    const long = defineJob({ kind: 'long' })
    const progress = it.driver.progress.bind(it.driver)
    it.driver.progress = (id, lease, value) => (written.push(value), progress(id, lease, value))
    const { id } = await it.jobs.enqueue(long, null)
    const end = Promise.withResolvers<void>()
    const runner = it.runner([
      handle(long, async (call) => {
        for (let i = 0; i <= 100; i++) call.progress({ done: i })
        const circle: Record<string, unknown> = {}
        circle['self'] = circle
        call.progress(circle)
        await end.promise
      }),
    ])
    runner.start()
    await it.settle()
    expect(written).toEqual(['{"done":0}'])
    await it.clock.advance(1000)
    expect(written).toEqual(['{"done":0}', '{"done":100}'])
    expect(await it.jobs.get(id!)).toMatchObject({ state: 'running', progress: { done: 100 } })
    end.resolve()
  })
})

describe('what is told of runs', () => {
  it('on channels and in metrics: start, wait and each kind of end', async () => {
    await using it = lab()
    const metrics = createMetrics()
    const told: string[] = []
    const onStart = (message: unknown): void => void told.push(`start ${(message as JobFinished).kind}`)
    const onEnd = (message: unknown): void => void told.push(`end ${(message as JobFinished).outcome}`)
    jobStarted.subscribe(onStart)
    jobFinished.subscribe(onEnd)
    await it.jobs.enqueue(greet, { name: 'good' })
    await it.jobs.enqueue(greet, { name: 'bad' })
    await it
      .runner(
        [
          handle(greet, ({ payload }) => {
            if (payload.name === 'bad') throw new Discard('bad')
          }),
        ],
        {},
        { metrics },
      )
      .runUntilIdle()
    jobStarted.unsubscribe(onStart)
    jobFinished.unsubscribe(onEnd)
    expect(told).toEqual(['start greet', 'start greet', 'end done', 'end dead'])
    const text = metrics.render()
    expect(text).toContain('forge_jobs_finished_total{kind="greet",outcome="done"} 1')
    expect(text).toContain('forge_jobs_finished_total{kind="greet",outcome="dead"} 1')
    expect(text).toContain('forge_jobs_wait_seconds_count{kind="greet"} 2')
    expect(text).toContain('forge_jobs_running 0')
  })

  it('includes how many jobs of which state each queue has', async () => {
    await using it = lab()
    const metrics = createMetrics()
    const other = defineJob({ kind: 'other' })
    await it.jobs.enqueue(other, null, { queue: 'elsewhere' })
    it.runner([handle(greet, () => {})], {}, { metrics }).start()
    await it.clock.advance(1500)
    expect(metrics.render()).toContain('forge_jobs_depth{queue="elsewhere",state="ready"} 1')
    expect(metrics.render()).toMatch(/forge_jobs_oldest_seconds\{queue="elsewhere"\} 1/)
  })
})

describe('a runner refuses', () => {
  it('two handlers for one kind, and settings that cannot work', async () => {
    await using it = lab()
    const { jobs } = it
    const handler = handle(greet, () => {})
    expect(() => createRunner({ jobs, handlers: [handler, handler] })).toThrow(
      expect.objectContaining({ code: 'jobs.definition_invalid' }),
    )
    for (const options of [{ concurrency: 0 }, { leaseMs: 1 }, { queues: [] }, { queues: [{ name: 'a', weight: 0 }] }])
      expect(() => createRunner({ jobs, handlers: [], options })).toThrow(
        expect.objectContaining({ code: 'jobs.option_invalid' }),
      )
  })
})
