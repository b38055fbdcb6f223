import { describe, expect, it } from 'vitest'
import { done, failed, idsOf, jobOf, leaseMs } from './contract-exam.ts'
import type { Exam } from './contract-exam.ts'
import type { NewJob } from './driver.ts'

/** Keys, limits, and what people do with jobs. */
export function ruleQuestions(exam: Exam): void {
  describe('dedupe', () => {
    const outcome = async (job: Partial<NewJob>): Promise<readonly [number | undefined, string]> => {
      const [one] = (await exam.driver.add([jobOf(job)])).added
      return [one!.id, one!.outcome]
    }

    it('adds one of many at once', async () => {
      const all = await Promise.all(
        Array.from({ length: 50 }, () => outcome({ dedupe: { key: 'same', mode: 'skip' } })),
      )
      expect(all.filter(([, what]) => what === 'added')).toHaveLength(1)
      expect(new Set(all.map(([id]) => id)).size).toBe(1)
      expect((await exam.step(exam.worker())).jobs).toHaveLength(1)
    })

    it('works in bulk, also among the jobs of one call', async () => {
      const keyed = (key: string): NewJob => jobOf({ dedupe: { key, mode: 'skip' } })
      await exam.driver.add([keyed('b')])
      const { added } = await exam.driver.add([keyed('c'), jobOf({}), keyed('b'), keyed('a'), keyed('c')])
      expect(added.map((one) => one.outcome)).toEqual(['added', 'added', 'existing', 'added', 'existing'])
      expect(added[4]!.id).toBe(added[0]!.id)
    })

    it('frees the key when the job ends, in whatever way', async () => {
      const job = { dedupe: { key: 'k', mode: 'skip' } as const, maxAttempts: 1 }
      const by = exam.worker()
      for (const report of [done, failed]) {
        expect((await outcome(job))[1]).toBe('added')
        expect((await outcome(job))[1]).toBe('existing')
        await exam.finish(by, report((await exam.step(by)).jobs[0]!))
      }
      const [id, what] = await outcome(job)
      expect(what).toBe('added')
      await exam.driver.cancel([id!])
      expect((await outcome(job))[1]).toBe('added')
      expect((await outcome({ ...job, queue: 'other' }))[1]).toBe('added')
    })

    it('replaces what waits, and follows what runs', async () => {
      const job = (payload: string): Partial<NewJob> => ({ payload, dedupe: { key: 'k', mode: 'replace' } })
      await outcome(job('1'))
      expect((await outcome(job('2')))[1]).toBe('replaced')
      const by = exam.worker()
      const [running] = (await exam.step(by)).jobs
      expect(running!.payload).toBe(2)
      expect((await outcome(job('3')))[1]).toBe('replaced')
      expect((await exam.finish(by, done(running!))).late).toEqual([])
      expect(await exam.stateOf(running!.id)).toBe('done')
      expect((await exam.step(by)).jobs).toMatchObject([{ payload: 3 }])
    })

    it('starts the wait of a debounced job again', async () => {
      const job = (payload: string): Partial<NewJob> => ({
        payload,
        dedupe: { key: 'k', mode: 'debounce', windowMs: 3_600_000 },
      })
      await outcome(job('1'))
      await exam.lab.pass(3_000_000)
      await outcome(job('2'))
      await exam.lab.pass(3_000_000)
      expect((await exam.step(exam.worker())).jobs).toEqual([])
      await exam.lab.pass(600_001)
      expect((await exam.step(exam.worker())).jobs).toMatchObject([{ payload: 2 }])
    })

    it('throttles to one per window, finished or not', async () => {
      const job: Partial<NewJob> = { dedupe: { key: 'k', mode: 'throttle', windowMs: 3_600_000 } }
      const [id, first] = await outcome(job)
      expect(first).toBe('added')
      const by = exam.worker()
      await exam.finish(by, done((await exam.step(by)).jobs[0]!))
      expect(await outcome(job)).toEqual([id, 'throttled'])
      await exam.lab.pass(3_600_001)
      expect((await outcome(job))[1]).toBe('added')
    })
  })

  describe('limits', () => {
    it('never runs more than the queue allows', async () => {
      await exam.driver.configure('q', { concurrency: 3 })
      await exam.add(...Array.from({ length: 10 }, () => ({})))
      const all = await Promise.all(Array.from({ length: 6 }, () => exam.step(exam.worker(), { want: 2 })))
      expect(all.flatMap(idsOf)).toHaveLength(3)
      expect(all[0]!.limited).toBe(true)
    })

    it('never runs more per key, and lets keys take turns', async () => {
      await exam.driver.configure('q', { perKey: { concurrency: 2 } })
      await exam.add(...Array.from({ length: 30 }, () => ({ key: 'loud' })))
      const [quiet] = await exam.add({ key: 'quiet' })
      const by = exam.worker()
      const first = await exam.step(by, { want: 2 })
      expect(first.jobs.map((job) => job.key).toSorted()).toEqual(['loud', 'quiet'])
      expect(idsOf(first)).toContain(quiet)
      expect((await exam.step(by)).jobs.map((job) => job.key)).toEqual(['loud'])
      expect((await exam.step(by)).jobs).toEqual([])
      await exam.finish(by, ...first.jobs.map(done))
      expect((await exam.step(by)).jobs.map((job) => job.key)).toEqual(['loud'])
    })

    it('takes the tenant where no key is given, also for jobs that were there before', async () => {
      const tenantId = '01890000-0000-7000-8000-00000000000a'
      await exam.add({ tenantId }, { tenantId })
      await exam.driver.configure('q', { perKey: { concurrency: 1 } })
      await exam.add({ tenantId })
      expect((await exam.step(exam.worker())).jobs).toHaveLength(1)
    })

    it('lets through at a rate, for the queue and per key', async () => {
      await exam.driver.configure('q', { rate: { limit: 60, periodMs: 36_000_000, burst: 3 } })
      await exam.add(...Array.from({ length: 10 }, () => ({})))
      const by = exam.worker()
      expect((await exam.step(by)).jobs).toHaveLength(3)
      const refused = await exam.step(by)
      expect(refused.jobs).toEqual([])
      expect(refused.nextMs).toBeGreaterThan(0)
      expect(refused.nextMs).toBeLessThanOrEqual(600_000)
      await exam.lab.pass(1_200_001)
      expect((await exam.step(by)).jobs).toHaveLength(2)
      await exam.lab.clear()
      await exam.driver.configure('q', { perKey: { rate: { limit: 1, periodMs: 3_600_000 } } })
      await exam.add({ key: 'a' }, { key: 'a' }, { key: 'b' })
      expect((await exam.step(by)).jobs.map((job) => job.key).toSorted()).toEqual(['a', 'b'])
      expect((await exam.step(by)).jobs).toEqual([])
      await exam.lab.pass(3_600_001)
      expect((await exam.step(by)).jobs.map((job) => job.key)).toEqual(['a'])
    })

    it('rests while paused', async () => {
      await exam.driver.pause('q', true)
      await exam.add({})
      expect(await exam.step(exam.worker())).toMatchObject({ jobs: [], paused: true })
      await exam.driver.pause('q', false)
      expect((await exam.step(exam.worker())).jobs).toHaveLength(1)
    })

    it('keeps its settings', async () => {
      const settings = {
        concurrency: 5,
        rate: { limit: 10, periodMs: 1000, burst: 2 },
        perKey: { concurrency: 1, rate: { limit: 3, periodMs: 60_000 } },
        fair: true,
      }
      await exam.driver.configure('q', settings)
      expect(await exam.driver.settings('q')).toEqual(settings)
      expect(await exam.driver.settings('unknown')).toEqual({})
    })
  })

  describe('looking and changing', () => {
    it('lists newest first, by page and filter', async () => {
      const ids = await exam.add({}, { tags: ['t'] }, { kind: 'other' }, { delayMs: 60_000 })
      const list = async (filter: object, before?: number): Promise<number[]> =>
        (await exam.driver.list({ filter, limit: 2, before })).map((job) => job.id)
      expect(await list({})).toEqual([ids[3], ids[2]])
      expect(await list({}, ids[2])).toEqual([ids[1], ids[0]])
      expect(await list({ tag: 't' })).toEqual([ids[1]])
      expect(await list({ kind: 'other' })).toEqual([ids[2]])
      expect(await list({ state: 'scheduled' })).toEqual([ids[3]])
      expect(await list({ state: ['done', 'dead'] })).toEqual([])
      expect(await list({ ids: [ids[0]!, ids[1]!] })).toEqual([ids[1], ids[0]])
    })

    it('counts by queue and state', async () => {
      await exam.add({}, {}, { delayMs: 60_000 }, { queue: 'other' })
      const by = exam.worker()
      const [a] = (await exam.step(by, { want: 1 })).jobs
      await exam.finish(by, done(a!))
      await exam.lab.pass(1000)
      const stats = await exam.driver.stats()
      expect(stats.map((one) => one.queue)).toEqual(['other', 'q'])
      expect(stats[1]!.counts).toMatchObject({ ready: 1, scheduled: 1, done: 1, running: 0 })
      expect(stats[1]!.oldestMs).toBeGreaterThanOrEqual(1000)
      expect((await exam.driver.stats('q')).map((one) => one.queue)).toEqual(['q'])
    })

    it('cancels what waits at once and tells what runs', async () => {
      const [running, waiting] = await exam.add({}, { delayMs: 3_600_000 })
      const by = exam.worker()
      const [job] = (await exam.step(by)).jobs
      const heard: number[] = []
      const off = await exam.driver.subscribe({ onWork: () => {}, onCancel: (id) => heard.push(id), onGap: () => {} })
      expect(await exam.driver.cancel([running!, waiting!, 999_999_999])).toEqual({
        cancelled: [waiting],
        requested: [running],
      })
      expect(await exam.stateOf(waiting!)).toBe('cancelled')
      expect((await exam.driver.get(running!))!.cancelRequested).toBe(true)
      expect((await exam.driver.heartbeat(by, leaseMs)).cancelled).toEqual([running])
      if (exam.driver.capabilities.listen) await expect.poll(() => heard).toContain(running)
      await off()
      await exam.finish(by, failed(job!))
      expect(await exam.stateOf(running!)).toBe('cancelled')
      expect((await exam.driver.heartbeat(by, leaseMs)).cancelled).toEqual([])
    })

    it('tells a waiting worker of new jobs', async () => {
      if (!exam.driver.capabilities.listen) return
      const heard: string[] = []
      const off = await exam.driver.subscribe({
        onWork: (queue) => heard.push(queue),
        onCancel: () => {},
        onGap: () => {},
      })
      await exam.add({})
      const by = exam.worker()
      await exam.step(by)
      await exam.step(by, { idle: true })
      await exam.add({}, {})
      await expect.poll(() => heard).toEqual(['q'])
      await off()
    })

    it('retries what is dead or waits, and redrives at a rate', async () => {
      const by = exam.worker()
      const [waiting] = await exam.add({ delayMs: 60_000 })
      expect(await exam.driver.retry([waiting!])).toEqual([waiting])
      expect(idsOf(await exam.step(by))).toEqual([waiting])
      expect(await exam.driver.retry([waiting!])).toEqual([])
      const ids = await exam.add(...Array.from({ length: 4 }, () => ({ maxAttempts: 1 })))
      await exam.finish(by, ...(await exam.step(by)).jobs.map((job) => failed(job)))
      expect(await exam.driver.countDead({ queue: 'q' })).toBe(4)
      expect(await exam.driver.retry([ids[0]!])).toEqual([ids[0]])
      expect((await exam.step(by)).jobs).toMatchObject([{ id: ids[0], attempt: 1 }])
      expect(await exam.driver.redrive({ filter: { kind: 'k' }, limit: 2, perSecond: 0.001 })).toBe(2)
      expect(idsOf(await exam.step(by))).toEqual([ids[1]])
      await exam.lab.pass(1_000_000)
      expect(idsOf(await exam.step(by))).toEqual([ids[2]])
      expect(await exam.driver.removeDead({})).toBe(1)
      expect(await exam.driver.countDead({})).toBe(0)
    })

    it('shows progress while a job runs', async () => {
      const [id] = await exam.add({})
      const [job] = (await exam.step(exam.worker())).jobs
      expect(await exam.driver.progress(id!, job!.lease, '{"at":0.5}')).toBe(true)
      expect((await exam.driver.get(id!))!.progress).toEqual({ at: 0.5 })
    })
  })
}
