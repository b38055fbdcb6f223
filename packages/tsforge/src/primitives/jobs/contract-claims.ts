import { describe, expect, it } from 'vitest'
import { done, error, failed, idsOf, jobOf, leaseMs } from './contract-exam.ts'
import type { Exam } from './contract-exam.ts'
import type { ClaimedJob, Finished } from './driver.ts'

/** Adding, claiming, finishing and the fence. */
export function claimQuestions(exam: Exam): void {
  describe('adding and claiming', () => {
    it('gives ids in the order given and jobs as they were added', async () => {
      const tenantId = '01890000-0000-7000-8000-000000000001'
      const [first, second] = await exam.add(
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
      const { jobs } = await exam.step(exam.worker())
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
      const ids = await exam.add({}, {}, {}, {}, {})
      const [a, b] = [exam.worker(), exam.worker()]
      const results = await Promise.all([
        exam.step(a, { want: 2 }),
        exam.step(b, { want: 2 }),
        exam.step(a),
        exam.step(b),
      ])
      expect(results.flatMap(idsOf).toSorted((x, y) => x - y)).toEqual(ids)
    })

    it('claims by priority, then by time, then by id', async () => {
      const [low, normal, urgent, later] = await exam.add({ priority: 4 }, {}, { priority: 1 }, { priority: 1 })
      expect(idsOf(await exam.step(exam.worker()))).toEqual([urgent, later, normal, low])
    })

    it('serves the longest waiting level one time in eight', async () => {
      await exam.add({ priority: 4 })
      await exam.lab.pass(1000)
      await exam.add(...Array.from({ length: 20 }, () => ({ priority: 1 as const })))
      const by = exam.worker()
      const priorities: number[] = []
      for (let i = 0; i < 8; i++) {
        const [job] = (await exam.step(by, { want: 1 })).jobs
        priorities.push((await exam.driver.get(job!.id))!.priority)
      }
      expect(priorities).toEqual([1, 1, 1, 1, 1, 1, 1, 4])
    })

    it('leaves jobs alone until they are due, and says when that is', async () => {
      const [id] = await exam.add({ delayMs: 3_600_000 })
      const by = exam.worker()
      const before = await exam.step(by)
      expect(before.jobs).toEqual([])
      expect(before.nextMs).toBeGreaterThan(3_000_000)
      expect(before.nextMs).toBeLessThanOrEqual(3_600_000)
      expect(await exam.stateOf(id!)).toBe('scheduled')
      await exam.lab.pass(3_600_001)
      expect(await exam.stateOf(id!)).toBe('ready')
      expect(idsOf(await exam.step(by))).toEqual([id])
      expect(await exam.stateOf(id!)).toBe('running')
    })

    it('leaves unknown kinds to whoever knows them, also when they stand in front', async () => {
      const unknown = await exam.add(...Array.from({ length: 5 }, () => ({ kind: 'new' })))
      const [known] = await exam.add({})
      const old = exam.worker()
      const seen: number[] = []
      for (let i = 0; i < 4 && seen.length === 0; i++) seen.push(...idsOf(await exam.step(old, { want: 3 })))
      expect(seen).toEqual([known])
      expect(await exam.stateOf(unknown[0]!)).toBe('ready')
      expect(idsOf(await exam.step(exam.worker(), { kinds: ['new', 'k'] }))).toEqual(unknown)
    })

    it('leases jobs to a local worker as it adds them', async () => {
      const by = exam.worker()
      const { added, lease } = await exam.driver.add([jobOf({}), jobOf({})], { handOff: { worker: by, leaseMs } })
      expect(lease).toBeGreaterThan(0)
      expect((await exam.step(exam.worker())).jobs).toEqual([])
      const reports = added.map(({ id }): Finished => ({ id: id!, lease: lease!, as: 'done', keep: true }))
      expect((await exam.finish(by, ...reports)).late).toEqual([])
      expect(await exam.stateOf(added[0]!.id!)).toBe('done')
    })
  })

  describe('finishing', () => {
    it('keeps history with output when asked to, and nothing otherwise', async () => {
      await exam.add({}, {}, {})
      const by = exam.worker()
      const { jobs } = await exam.step(by)
      const [a, b, c] = jobs as [ClaimedJob, ClaimedJob, ClaimedJob]
      const { late } = await exam.finish(
        by,
        done(a),
        { ...done(b), output: '{"n":1}' } as Finished,
        {
          ...done(c),
          keep: false,
        } as Finished,
      )
      expect(late).toEqual([])
      expect(await exam.driver.get(a.id)).toMatchObject({ state: 'done', attempt: 1, runMs: 5, output: undefined })
      expect(await exam.driver.get(b.id)).toMatchObject({ state: 'done', output: { n: 1 } })
      expect(await exam.driver.get(c.id)).toBeUndefined()
    })

    it('brings failures back after their wait, and buries them after the last attempt', async () => {
      const [id] = await exam.add({ maxAttempts: 2 })
      const by = exam.worker()
      await exam.finish(by, failed((await exam.step(by)).jobs[0]!, 3_600_000))
      expect(await exam.driver.get(id!)).toMatchObject({ state: 'retrying', attempt: 1, error })
      expect((await exam.step(by)).jobs).toEqual([])
      await exam.lab.pass(3_600_001)
      const { jobs } = await exam.step(by)
      expect(jobs[0]).toMatchObject({ id, attempt: 2 })
      await exam.finish(by, failed(jobs[0]!))
      expect(await exam.driver.get(id!)).toMatchObject({ state: 'dead', attempt: 2, error, deadReason: 'failed' })
    })

    it('does not count a snooze or a release, and buries what is discarded', async () => {
      const [a, b, c] = await exam.add({}, {}, {})
      const by = exam.worker()
      const { jobs } = await exam.step(by)
      await exam.finish(
        by,
        { id: a!, lease: jobs[0]!.lease, as: 'snoozed', delayMs: 3_600_000 },
        { id: b!, lease: jobs[1]!.lease, as: 'released' },
        { id: c!, lease: jobs[2]!.lease, as: 'discarded', error },
      )
      expect(await exam.driver.get(c!)).toMatchObject({ state: 'dead', deadReason: 'discarded' })
      expect((await exam.step(by)).jobs).toMatchObject([{ id: b, attempt: 1 }])
      await exam.lab.pass(3_600_001)
      expect((await exam.step(by)).jobs).toMatchObject([{ id: a, attempt: 1 }])
    })

    it('finishes and claims in one call', async () => {
      const [, second] = await exam.add({}, {})
      const by = exam.worker()
      const { jobs } = await exam.step(by, { want: 1 })
      const next = await exam.step(by, { want: 1, finished: [done(jobs[0]!)] })
      expect(idsOf(next)).toEqual([second])
      expect(await exam.stateOf(jobs[0]!.id)).toBe('done')
    })
  })

  describe('fence', () => {
    it('refuses every report of a worker that lost its lease, and of one that never had it', async () => {
      const [id] = await exam.add({})
      const [zombie, healthy] = [exam.worker(), exam.worker()]
      const stale = (await exam.step(zombie)).jobs[0]!
      await exam.lab.pass(leaseMs + 1000)
      expect(await exam.driver.rescue({ baseMs: 1, capMs: 1 })).toMatchObject([{ id, attempt: 1, dead: false }])
      await exam.lab.pass(10)
      const fresh = (await exam.step(healthy)).jobs[0]!
      expect(fresh).toMatchObject({ id, attempt: 2 })
      for (const report of [done(stale), failed(stale), { id: stale.id, lease: stale.lease, as: 'released' } as const])
        expect((await exam.finish(zombie, report)).late).toEqual([id])
      expect((await exam.finish(zombie, done(fresh))).late).toEqual([id])
      expect(await exam.driver.progress(id!, stale.lease, '1')).toBe(false)
      expect(await exam.driver.isolate(zombie, leaseMs, [stale])).toEqual([undefined])
      expect((await exam.driver.heartbeat(zombie, leaseMs)).leases).toEqual([])
      expect(await exam.stateOf(id!)).toBe('running')
      expect((await exam.finish(healthy, done(fresh))).late).toEqual([])
      expect(await exam.stateOf(id!)).toBe('done')
    })

    it('honours what is right in a report where something is late', async () => {
      await exam.add({})
      const by = exam.worker()
      const stale = (await exam.step(by)).jobs[0]!
      await exam.lab.pass(leaseMs + 1000)
      // So long that no random time within it is over while a busy machine stands still.
      await exam.driver.rescue({ baseMs: 86_400_000, capMs: 86_400_000 })
      await exam.add({}, {})
      const { jobs } = await exam.step(by)
      const { late } = await exam.finish(by, done(stale), done(jobs[0]!), failed(jobs[1]!))
      expect(late).toEqual([stale.id])
      expect(await exam.stateOf(jobs[0]!.id)).toBe('done')
      expect(await exam.stateOf(jobs[1]!.id)).toBe('retrying')
    })

    it('lives on with heartbeats', async () => {
      await exam.add({})
      const by = exam.worker()
      const [job] = (await exam.step(by)).jobs
      await exam.lab.pass(leaseMs * 0.6)
      expect((await exam.driver.heartbeat(by, leaseMs)).leases).toEqual([job!.lease])
      await exam.lab.pass(leaseMs * 0.6)
      expect(await exam.driver.rescue({ baseMs: 1, capMs: 1 })).toEqual([])
      expect((await exam.finish(by, done(job!))).late).toEqual([])
    })

    it('moves a long job to a lease of its own', async () => {
      await exam.add({}, {})
      const by = exam.worker()
      const [long, short] = (await exam.step(by)).jobs as [ClaimedJob, ClaimedJob]
      const [own] = await exam.driver.isolate(by, leaseMs, [long])
      expect(own).toBeGreaterThan(long.lease)
      expect((await exam.finish(by, done(short))).late).toEqual([])
      expect(new Set((await exam.driver.heartbeat(by, leaseMs)).leases)).toContain(own)
      expect((await exam.step(exam.worker())).jobs).toEqual([])
      expect((await exam.finish(by, { ...done(long), lease: own! })).late).toEqual([])
      expect(await exam.stateOf(long.id)).toBe('done')
    })

    it('buries what ends its process each time, and claims suspects apart from the others', async () => {
      const [poison] = await exam.add({ maxAttempts: 2 })
      for (const dead of [false, true]) {
        const by = exam.worker()
        let claimed: number[] = []
        for (let i = 0; i < 8 && claimed.length === 0; i++) claimed = idsOf(await exam.step(by))
        expect(claimed).toEqual([poison])
        await exam.lab.pass(leaseMs + 1000)
        expect(await exam.driver.rescue({ baseMs: 1, capMs: 1 })).toMatchObject([{ id: poison, dead }])
        await exam.lab.pass(10)
        await exam.add({})
        if (dead) continue
        const alone = await exam.step('first-look')
        expect(idsOf(alone)).toEqual([poison])
        expect(alone.more).toBe(true)
        await exam.driver.leave('first-look')
      }
      expect(await exam.driver.get(poison!)).toMatchObject({ state: 'dead', attempt: 2, deadReason: 'lost' })
    })

    it('hands all back when a worker leaves', async () => {
      const ids = await exam.add({}, {}, {})
      const by = exam.worker()
      const { jobs } = await exam.step(by)
      await exam.finish(by, done(jobs[0]!))
      await exam.driver.leave(by)
      const next = await exam.step(exam.worker())
      expect(idsOf(next)).toEqual(ids.slice(1))
      expect(next.jobs.map((job) => job.attempt)).toEqual([1, 1])
    })
  })
}
