import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { ClaimedJob, Finished, JobsDriver, NewJob, StepRequest, StepResult } from './driver.ts'

/** A driver on an empty store. */
export interface JobsLab {
  readonly driver: JobsDriver
  /** Lets `ms` pass for the store. */
  pass(ms: number): Promise<void>
  /** Empties the store. */
  clear(): Promise<void>
  close(): Promise<void>
}

export interface JobsContract {
  readonly name: string
  create(): Promise<JobsLab>
}

const error = { name: 'Error', message: 'no' }
const leaseMs = 30_000

/** The exam of a job store. Call it in a vitest file of your own. */
export function jobsContract({ name, create }: JobsContract): void {
  describe(`jobs contract: ${name}`, () => {
    let lab: JobsLab
    let driver: JobsDriver
    let workers = 0
    beforeAll(async () => {
      lab = await create()
      driver = lab.driver
      await driver.start()
    }, 60_000)
    beforeEach(() => lab.clear())
    afterAll(() => lab.close())

    const worker = (): string => `worker-${++workers}`
    const add = async (...jobs: Partial<NewJob>[]): Promise<number[]> =>
      (await driver.add(jobs.map(jobOf))).added.map(({ id }) => id!)
    const step = (by: string, request: Partial<StepRequest> = {}): Promise<StepResult> =>
      driver.step({ queue: 'q', worker: by, leaseMs, kinds: ['k'], want: 100, finished: [], idle: false, ...request })
    const finish = (by: string, ...finished: Finished[]): Promise<StepResult> => step(by, { want: 0, finished })
    const done = ({ id, lease }: ClaimedJob): Finished => ({ id, lease, as: 'done', keep: true, runMs: 5 })
    const failed = ({ id, lease }: ClaimedJob, delayMs = 0): Finished => ({ id, lease, as: 'failed', error, delayMs })
    const idsOf = ({ jobs }: StepResult): number[] => jobs.map((job) => job.id)
    const stateOf = async (id: number): Promise<string | undefined> => (await driver.get(id))?.state

    describe('adding and claiming', () => {
      it('gives ids in the order given and jobs as they were added', async () => {
        const tenantId = '01890000-0000-7000-8000-000000000001'
        const [first, second] = await add(
          {
            payload: '{"a": [1, "ü\\n"]}',
            tags: ['x', 'y'],
            tenantId,
            key: 'g',
            meta: '{"actor":["system",null]}',
            timeoutMs: 7,
          },
          {},
        )
        expect(second).toBeGreaterThan(first!)
        const { jobs } = await step(worker())
        expect(jobs[0]).toMatchObject({
          id: first,
          queue: 'q',
          kind: 'k',
          attempt: 1,
          maxAttempts: 3,
          payload: { a: [1, 'ü\n'] },
          tags: ['x', 'y'],
          tenantId,
          key: 'g',
          meta: { actor: ['system', null] },
          timeoutMs: 7,
        })
        expect(jobs[1]).toMatchObject({ id: second, payload: {}, tags: [], tenantId: undefined, meta: {} })
      })

      it('claims nothing twice, by any worker', async () => {
        const ids = await add({}, {}, {}, {}, {})
        const [a, b] = [worker(), worker()]
        const results = await Promise.all([step(a, { want: 2 }), step(b, { want: 2 }), step(a), step(b)])
        expect(results.flatMap(idsOf).toSorted((x, y) => x - y)).toEqual(ids)
      })

      it('claims by priority, then by time, then by id', async () => {
        const [low, normal, urgent, later] = await add({ priority: 4 }, {}, { priority: 1 }, { priority: 1 })
        expect(idsOf(await step(worker()))).toEqual([urgent, later, normal, low])
      })

      it('serves the longest waiting level one time in eight', async () => {
        await add({ priority: 4 })
        await lab.pass(1000)
        await add(...Array.from({ length: 20 }, () => ({ priority: 1 as const })))
        const by = worker()
        const priorities: number[] = []
        for (let i = 0; i < 8; i++) {
          const [job] = (await step(by, { want: 1 })).jobs
          priorities.push((await driver.get(job!.id))!.priority)
        }
        expect(priorities).toEqual([1, 1, 1, 1, 1, 1, 1, 4])
      })

      it('leaves jobs alone until they are due, and says when that is', async () => {
        const [id] = await add({ delayMs: 60_000 })
        const by = worker()
        const before = await step(by)
        expect(before.jobs).toEqual([])
        expect(before.nextMs).toBeGreaterThan(55_000)
        expect(before.nextMs).toBeLessThanOrEqual(60_000)
        expect(await stateOf(id!)).toBe('scheduled')
        await lab.pass(61_000)
        expect(await stateOf(id!)).toBe('ready')
        expect(idsOf(await step(by))).toEqual([id])
        expect(await stateOf(id!)).toBe('running')
      })

      it('leaves unknown kinds to whoever knows them, also when they stand in front', async () => {
        const unknown = await add(...Array.from({ length: 5 }, () => ({ kind: 'new' })))
        const [known] = await add({})
        const old = worker()
        const seen: number[] = []
        for (let i = 0; i < 4 && seen.length === 0; i++) seen.push(...idsOf(await step(old, { want: 3 })))
        expect(seen).toEqual([known])
        expect(await stateOf(unknown[0]!)).toBe('ready')
        expect(idsOf(await step(worker(), { kinds: ['new', 'k'] }))).toEqual(unknown)
      })

      it('leases jobs to a local worker as it adds them', async () => {
        const by = worker()
        const { added, lease } = await driver.add([jobOf({}), jobOf({})], { handOff: { worker: by, leaseMs } })
        expect(lease).toBeGreaterThan(0)
        expect((await step(worker())).jobs).toEqual([])
        const reports = added.map(({ id }): Finished => ({ id: id!, lease: lease!, as: 'done', keep: true }))
        expect((await finish(by, ...reports)).late).toEqual([])
        expect(await stateOf(added[0]!.id!)).toBe('done')
      })
    })

    describe('finishing', () => {
      it('keeps history with output when asked to, and nothing otherwise', async () => {
        await add({}, {}, {})
        const by = worker()
        const { jobs } = await step(by)
        const [a, b, c] = jobs as [ClaimedJob, ClaimedJob, ClaimedJob]
        const { late } = await finish(
          by,
          done(a),
          { ...done(b), output: '{"n":1}' } as Finished,
          {
            ...done(c),
            keep: false,
          } as Finished,
        )
        expect(late).toEqual([])
        expect(await driver.get(a.id)).toMatchObject({ state: 'done', attempt: 1, runMs: 5, output: undefined })
        expect(await driver.get(b.id)).toMatchObject({ state: 'done', output: { n: 1 } })
        expect(await driver.get(c.id)).toBeUndefined()
      })

      it('brings failures back after their wait, and buries them after the last attempt', async () => {
        const [id] = await add({ maxAttempts: 2 })
        const by = worker()
        await finish(by, failed((await step(by)).jobs[0]!, 5000))
        expect(await driver.get(id!)).toMatchObject({ state: 'retrying', attempt: 1, error })
        expect((await step(by)).jobs).toEqual([])
        await lab.pass(5001)
        const { jobs } = await step(by)
        expect(jobs[0]).toMatchObject({ id, attempt: 2 })
        await finish(by, failed(jobs[0]!))
        expect(await driver.get(id!)).toMatchObject({ state: 'dead', attempt: 2, error, deadReason: 'failed' })
      })

      it('does not count a snooze or a release, and buries what is discarded', async () => {
        const [a, b, c] = await add({}, {}, {})
        const by = worker()
        const { jobs } = await step(by)
        await finish(
          by,
          { id: a!, lease: jobs[0]!.lease, as: 'snoozed', delayMs: 1000 },
          { id: b!, lease: jobs[1]!.lease, as: 'released' },
          { id: c!, lease: jobs[2]!.lease, as: 'discarded', error },
        )
        expect(await driver.get(c!)).toMatchObject({ state: 'dead', deadReason: 'discarded' })
        expect((await step(by)).jobs).toMatchObject([{ id: b, attempt: 1 }])
        await lab.pass(1001)
        expect((await step(by)).jobs).toMatchObject([{ id: a, attempt: 1 }])
      })

      it('finishes and claims in one call', async () => {
        const [, second] = await add({}, {})
        const by = worker()
        const { jobs } = await step(by, { want: 1 })
        const next = await step(by, { want: 1, finished: [done(jobs[0]!)] })
        expect(idsOf(next)).toEqual([second])
        expect(await stateOf(jobs[0]!.id)).toBe('done')
      })
    })

    describe('fence', () => {
      it('refuses every report of a worker that lost its lease, and of one that never had it', async () => {
        const [id] = await add({})
        const [zombie, healthy] = [worker(), worker()]
        const stale = (await step(zombie)).jobs[0]!
        await lab.pass(leaseMs + 1000)
        expect(await driver.rescue({ baseMs: 1, capMs: 1 })).toMatchObject([{ id, attempt: 1, dead: false }])
        await lab.pass(10)
        const fresh = (await step(healthy)).jobs[0]!
        expect(fresh).toMatchObject({ id, attempt: 2 })
        for (const report of [
          done(stale),
          failed(stale),
          { id: stale.id, lease: stale.lease, as: 'released' } as const,
        ])
          expect((await finish(zombie, report)).late).toEqual([id])
        expect((await finish(zombie, done(fresh))).late).toEqual([id])
        expect(await driver.progress(id!, stale.lease, '1')).toBe(false)
        expect(await driver.isolate(zombie, leaseMs, [stale])).toEqual([undefined])
        expect((await driver.heartbeat(zombie, leaseMs)).leases).toEqual([])
        expect(await stateOf(id!)).toBe('running')
        expect((await finish(healthy, done(fresh))).late).toEqual([])
        expect(await stateOf(id!)).toBe('done')
      })

      it('honours what is right in a report where something is late', async () => {
        await add({})
        const by = worker()
        const stale = (await step(by)).jobs[0]!
        await lab.pass(leaseMs + 1000)
        await driver.rescue({ baseMs: 60_000, capMs: 60_000 })
        await add({}, {})
        const { jobs } = await step(by)
        const { late } = await finish(by, done(stale), done(jobs[0]!), failed(jobs[1]!))
        expect(late).toEqual([stale.id])
        expect(await stateOf(jobs[0]!.id)).toBe('done')
        expect(await stateOf(jobs[1]!.id)).toBe('retrying')
      })

      it('lives on with heartbeats', async () => {
        await add({})
        const by = worker()
        const [job] = (await step(by)).jobs
        await lab.pass(leaseMs - 1000)
        expect((await driver.heartbeat(by, leaseMs)).leases).toEqual([job!.lease])
        await lab.pass(leaseMs - 1000)
        expect(await driver.rescue({ baseMs: 1, capMs: 1 })).toEqual([])
        expect((await finish(by, done(job!))).late).toEqual([])
      })

      it('moves a long job to a lease of its own', async () => {
        await add({}, {})
        const by = worker()
        const [long, short] = (await step(by)).jobs as [ClaimedJob, ClaimedJob]
        const [own] = await driver.isolate(by, leaseMs, [long])
        expect(own).toBeGreaterThan(long.lease)
        expect((await finish(by, done(short))).late).toEqual([])
        expect(new Set((await driver.heartbeat(by, leaseMs)).leases)).toContain(own)
        expect((await step(worker())).jobs).toEqual([])
        expect((await finish(by, { ...done(long), lease: own! })).late).toEqual([])
        expect(await stateOf(long.id)).toBe('done')
      })

      it('buries what ends its process each time, and claims suspects apart from the others', async () => {
        const [poison] = await add({ maxAttempts: 2 })
        for (const dead of [false, true]) {
          const by = worker()
          let claimed: number[] = []
          for (let i = 0; i < 8 && claimed.length === 0; i++) claimed = idsOf(await step(by))
          expect(claimed).toEqual([poison])
          await lab.pass(leaseMs + 1000)
          expect(await driver.rescue({ baseMs: 1, capMs: 1 })).toMatchObject([{ id: poison, dead }])
          await lab.pass(10)
          await add({})
          if (dead) continue
          const alone = await step('first-look')
          expect(idsOf(alone)).toEqual([poison])
          expect(alone.more).toBe(true)
          await driver.leave('first-look')
        }
        expect(await driver.get(poison!)).toMatchObject({ state: 'dead', attempt: 2, deadReason: 'lost' })
      })

      it('hands all back when a worker leaves', async () => {
        const ids = await add({}, {}, {})
        const by = worker()
        const { jobs } = await step(by)
        await finish(by, done(jobs[0]!))
        await driver.leave(by)
        const next = await step(worker())
        expect(idsOf(next)).toEqual(ids.slice(1))
        expect(next.jobs.map((job) => job.attempt)).toEqual([1, 1])
      })
    })

    describe('dedupe', () => {
      const outcome = async (job: Partial<NewJob>): Promise<readonly [number | undefined, string]> => {
        const [one] = (await driver.add([jobOf(job)])).added
        return [one!.id, one!.outcome]
      }

      it('adds one of many at once', async () => {
        const all = await Promise.all(
          Array.from({ length: 50 }, () => outcome({ dedupe: { key: 'same', mode: 'skip' } })),
        )
        expect(all.filter(([, what]) => what === 'added')).toHaveLength(1)
        expect(new Set(all.map(([id]) => id)).size).toBe(1)
        expect((await step(worker())).jobs).toHaveLength(1)
      })

      it('works in bulk, also among the jobs of one call', async () => {
        const keyed = (key: string): NewJob => jobOf({ dedupe: { key, mode: 'skip' } })
        await driver.add([keyed('b')])
        const { added } = await driver.add([keyed('c'), jobOf({}), keyed('b'), keyed('a'), keyed('c')])
        expect(added.map((one) => one.outcome)).toEqual(['added', 'added', 'existing', 'added', 'existing'])
        expect(added[4]!.id).toBe(added[0]!.id)
      })

      it('frees the key when the job ends, in whatever way', async () => {
        const job = { dedupe: { key: 'k', mode: 'skip' } as const, maxAttempts: 1 }
        const by = worker()
        for (const report of [done, failed]) {
          expect((await outcome(job))[1]).toBe('added')
          expect((await outcome(job))[1]).toBe('existing')
          await finish(by, report((await step(by)).jobs[0]!))
        }
        const [id, what] = await outcome(job)
        expect(what).toBe('added')
        await driver.cancel([id!])
        expect((await outcome(job))[1]).toBe('added')
        expect((await outcome({ ...job, queue: 'other' }))[1]).toBe('added')
      })

      it('replaces what waits, and follows what runs', async () => {
        const job = (payload: string): Partial<NewJob> => ({ payload, dedupe: { key: 'k', mode: 'replace' } })
        await outcome(job('1'))
        expect((await outcome(job('2')))[1]).toBe('replaced')
        const by = worker()
        const [running] = (await step(by)).jobs
        expect(running!.payload).toBe(2)
        expect((await outcome(job('3')))[1]).toBe('replaced')
        expect((await finish(by, done(running!))).late).toEqual([])
        expect(await stateOf(running!.id)).toBe('done')
        expect((await step(by)).jobs).toMatchObject([{ payload: 3 }])
      })

      it('starts the wait of a debounced job again', async () => {
        const job = (payload: string): Partial<NewJob> => ({
          payload,
          dedupe: { key: 'k', mode: 'debounce', windowMs: 10_000 },
        })
        await outcome(job('1'))
        await lab.pass(9000)
        await outcome(job('2'))
        await lab.pass(9000)
        expect((await step(worker())).jobs).toEqual([])
        await lab.pass(2000)
        expect((await step(worker())).jobs).toMatchObject([{ payload: 2 }])
      })

      it('throttles to one per window, finished or not', async () => {
        const job: Partial<NewJob> = { dedupe: { key: 'k', mode: 'throttle', windowMs: 10_000 } }
        const [id, first] = await outcome(job)
        expect(first).toBe('added')
        const by = worker()
        await finish(by, done((await step(by)).jobs[0]!))
        expect(await outcome(job)).toEqual([id, 'throttled'])
        await lab.pass(10_001)
        expect((await outcome(job))[1]).toBe('added')
      })
    })

    describe('limits', () => {
      it('never runs more than the queue allows', async () => {
        await driver.configure('q', { concurrency: 3 })
        await add(...Array.from({ length: 10 }, () => ({})))
        const all = await Promise.all(Array.from({ length: 6 }, () => step(worker(), { want: 2 })))
        expect(all.flatMap(idsOf)).toHaveLength(3)
        expect(all[0]!.limited).toBe(true)
      })

      it('never runs more per key, and lets keys take turns', async () => {
        await driver.configure('q', { perKey: { concurrency: 2 } })
        await add(...Array.from({ length: 30 }, () => ({ key: 'loud' })))
        const [quiet] = await add({ key: 'quiet' })
        const by = worker()
        const first = await step(by, { want: 2 })
        expect(first.jobs.map((job) => job.key).toSorted()).toEqual(['loud', 'quiet'])
        expect(idsOf(first)).toContain(quiet)
        expect((await step(by)).jobs.map((job) => job.key)).toEqual(['loud'])
        expect((await step(by)).jobs).toEqual([])
        await finish(by, ...first.jobs.map(done))
        expect((await step(by)).jobs.map((job) => job.key)).toEqual(['loud'])
      })

      it('takes the tenant where no key is given, also for jobs that were there before', async () => {
        const tenantId = '01890000-0000-7000-8000-00000000000a'
        await add({ tenantId }, { tenantId })
        await driver.configure('q', { perKey: { concurrency: 1 } })
        await add({ tenantId })
        expect((await step(worker())).jobs).toHaveLength(1)
      })

      it('lets through at a rate, for the queue and per key', async () => {
        await driver.configure('q', { rate: { limit: 60, periodMs: 60_000, burst: 3 } })
        await add(...Array.from({ length: 10 }, () => ({})))
        const by = worker()
        expect((await step(by)).jobs).toHaveLength(3)
        const refused = await step(by)
        expect(refused.jobs).toEqual([])
        expect(refused.nextMs).toBeGreaterThan(0)
        expect(refused.nextMs).toBeLessThanOrEqual(1000)
        await lab.pass(2001)
        expect((await step(by)).jobs).toHaveLength(2)
        await lab.clear()
        await driver.configure('q', { perKey: { rate: { limit: 1, periodMs: 10_000 } } })
        await add({ key: 'a' }, { key: 'a' }, { key: 'b' })
        expect((await step(by)).jobs.map((job) => job.key).toSorted()).toEqual(['a', 'b'])
        expect((await step(by)).jobs).toEqual([])
        await lab.pass(10_001)
        expect((await step(by)).jobs.map((job) => job.key)).toEqual(['a'])
      })

      it('rests while paused', async () => {
        await driver.pause('q', true)
        await add({})
        expect(await step(worker())).toMatchObject({ jobs: [], paused: true })
        await driver.pause('q', false)
        expect((await step(worker())).jobs).toHaveLength(1)
      })

      it('keeps its settings', async () => {
        const settings = {
          concurrency: 5,
          rate: { limit: 10, periodMs: 1000, burst: 2 },
          perKey: { concurrency: 1, rate: { limit: 3, periodMs: 60_000 } },
          fair: true,
        }
        await driver.configure('q', settings)
        expect(await driver.settings('q')).toEqual(settings)
        expect(await driver.settings('unknown')).toEqual({})
      })
    })

    describe('looking and changing', () => {
      it('lists newest first, by page and filter', async () => {
        const ids = await add({}, { tags: ['t'] }, { kind: 'other' }, { delayMs: 60_000 })
        const list = async (filter: object, before?: number): Promise<number[]> =>
          (await driver.list({ filter, limit: 2, before })).map((job) => job.id)
        expect(await list({})).toEqual([ids[3], ids[2]])
        expect(await list({}, ids[2])).toEqual([ids[1], ids[0]])
        expect(await list({ tag: 't' })).toEqual([ids[1]])
        expect(await list({ kind: 'other' })).toEqual([ids[2]])
        expect(await list({ state: 'scheduled' })).toEqual([ids[3]])
        expect(await list({ state: ['done', 'dead'] })).toEqual([])
        expect(await list({ ids: [ids[0]!, ids[1]!] })).toEqual([ids[1], ids[0]])
      })

      it('counts by queue and state', async () => {
        await add({}, {}, { delayMs: 60_000 }, { queue: 'other' })
        const by = worker()
        const [a] = (await step(by, { want: 1 })).jobs
        await finish(by, done(a!))
        await lab.pass(1000)
        const stats = await driver.stats()
        expect(stats.map((one) => one.queue)).toEqual(['other', 'q'])
        expect(stats[1]!.counts).toMatchObject({ ready: 1, scheduled: 1, done: 1, running: 0 })
        expect(stats[1]!.oldestMs).toBeGreaterThanOrEqual(1000)
        expect((await driver.stats('q')).map((one) => one.queue)).toEqual(['q'])
      })

      it('cancels what waits at once and tells what runs', async () => {
        const [running, waiting] = await add({}, { delayMs: 1000 })
        const by = worker()
        const [job] = (await step(by)).jobs
        const heard: number[] = []
        const off = await driver.subscribe({ onWork: () => {}, onCancel: (id) => heard.push(id), onGap: () => {} })
        expect(await driver.cancel([running!, waiting!, 999_999_999])).toEqual({
          cancelled: [waiting],
          requested: [running],
        })
        expect(await stateOf(waiting!)).toBe('cancelled')
        expect((await driver.get(running!))!.cancelRequested).toBe(true)
        expect((await driver.heartbeat(by, leaseMs)).cancelled).toEqual([running])
        if (driver.capabilities.listen) await expect.poll(() => heard).toContain(running)
        await off()
        await finish(by, failed(job!))
        expect(await stateOf(running!)).toBe('cancelled')
        expect((await driver.heartbeat(by, leaseMs)).cancelled).toEqual([])
      })

      it('tells a waiting worker of new jobs', async () => {
        if (!driver.capabilities.listen) return
        const heard: string[] = []
        const off = await driver.subscribe({
          onWork: (queue) => heard.push(queue),
          onCancel: () => {},
          onGap: () => {},
        })
        await add({})
        const by = worker()
        await step(by)
        await step(by, { idle: true })
        await add({}, {})
        await expect.poll(() => heard).toEqual(['q'])
        await off()
      })

      it('retries what is dead or waits, and redrives at a rate', async () => {
        const by = worker()
        const [waiting] = await add({ delayMs: 60_000 })
        expect(await driver.retry([waiting!])).toEqual([waiting])
        expect(idsOf(await step(by))).toEqual([waiting])
        expect(await driver.retry([waiting!])).toEqual([])
        const ids = await add(...Array.from({ length: 4 }, () => ({ maxAttempts: 1 })))
        await finish(by, ...(await step(by)).jobs.map((job) => failed(job)))
        expect(await driver.countDead({ queue: 'q' })).toBe(4)
        expect(await driver.retry([ids[0]!])).toEqual([ids[0]])
        expect((await step(by)).jobs).toMatchObject([{ id: ids[0], attempt: 1 }])
        expect(await driver.redrive({ filter: { kind: 'k' }, limit: 2, perSecond: 1 })).toBe(2)
        expect(idsOf(await step(by))).toEqual([ids[1]])
        await lab.pass(1000)
        expect(idsOf(await step(by))).toEqual([ids[2]])
        expect(await driver.removeDead({})).toBe(1)
        expect(await driver.countDead({})).toBe(0)
      })

      it('shows progress while a job runs', async () => {
        const [id] = await add({})
        const [job] = (await step(worker())).jobs
        expect(await driver.progress(id!, job!.lease, '{"at":0.5}')).toBe(true)
        expect((await driver.get(id!))!.progress).toEqual({ at: 0.5 })
      })
    })
  })
}

function jobOf(job: Partial<NewJob>): NewJob {
  return { kind: 'k', queue: 'q', payload: '{}', priority: 3, maxAttempts: 3, delayMs: 0, ...job }
}
