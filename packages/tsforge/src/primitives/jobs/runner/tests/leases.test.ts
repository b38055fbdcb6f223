import { describe, expect, it } from 'vitest'
import { dbErrors } from '../../../db/index.ts'
import { jobFinished } from '../../events.ts'
import type { JobFinished } from '../../events.ts'
import { defineJob } from '../../define-job.ts'
import { handle } from '../handler.ts'
import { aborted, altered, lab } from './lab.ts'

const work = defineJob<number>({ kind: 'work', backoff: { baseMs: 1000, capMs: 1000 } })

describe('a lease', () => {
  it('lives as long as its job runs', async () => {
    await using it = lab()
    const gate = Promise.withResolvers<void>()
    let runs = 0
    const handler = handle(work, async () => (runs++, gate.promise))
    it.runner([handler], { leaseMs: 3000 }).start()
    const other = it.runner([handler], { leaseMs: 3000 })
    const { id } = await it.jobs.enqueue(work, 1)
    await it.settle()
    other.start()
    await it.clock.advance(60_000)
    expect(runs).toBe(1)
    gate.resolve()
    await it.clock.advance(10)
    expect(await it.jobs.get(id!)).toMatchObject({ state: 'done', attempt: 1 })
  })

  it('that cannot be prolonged aborts its jobs in time, and their late ends are refused and told', async () => {
    const silent = { now: false }
    await using it = lab((driver) =>
      altered(driver, (original) => ({
        heartbeat: (worker, leaseMs) =>
          silent.now && worker === 'zombie'
            ? Promise.reject(dbErrors.error('db.unavailable'))
            : original.heartbeat(worker, leaseMs),
      })),
    )
    const gate = Promise.withResolvers<void>()
    const outcomes: string[] = []
    const listen = (message: unknown): void => void outcomes.push((message as JobFinished).outcome)
    jobFinished.subscribe(listen)
    let reason: unknown
    const zombie = it.runner(
      [
        handle(work, async ({ signal }) => {
          reason = await aborted(signal)
          await gate.promise
        }),
      ],
      { leaseMs: 3000, worker: 'zombie', concurrency: 1 },
    )
    zombie.start()
    const { id } = await it.jobs.enqueue(work, 1)
    await it.clock.advance(1500)
    silent.now = true
    let second = 0
    it.runner([handle(work, () => void second++)], { leaseMs: 3000, rescueBackoff: { baseMs: 1, capMs: 1 } }).start()
    await it.clock.advance(2900)
    expect(second).toBe(0)
    await it.clock.advance(3000)
    expect(reason).toMatchObject({ reason: 'lease_lost' })
    expect(second).toBe(1)
    expect(outcomes).toEqual(['done'])
    gate.resolve()
    await it.clock.advance(100)
    jobFinished.unsubscribe(listen)
    expect(outcomes).toEqual(['done', 'late'])
    expect(await it.jobs.get(id!)).toMatchObject({ state: 'done', attempt: 2 })
  })

  it('of a process that has died leaves its jobs to others when it ends, and 3 s later at the latest', async () => {
    await using it = lab()
    await it.jobs.enqueueMany(work, [{ payload: 1 }, { payload: 2 }])
    const own = { queue: 'default', worker: 'dead', kinds: ['work'], finished: [], idle: false }
    expect((await it.driver.step({ ...own, leaseMs: 1000, want: 10 })).jobs).toHaveLength(2)
    let ran = 0
    it.runner([handle(work, () => void ran++)], { leaseMs: 1000, rescueBackoff: { baseMs: 1, capMs: 50 } }).start()
    await it.clock.advance(999)
    expect(ran).toBe(0)
    await it.clock.advance(3001)
    expect(ran).toBe(2)
  })

  it('that the store no longer knows aborts its jobs at the next heartbeat', async () => {
    await using it = lab((driver) =>
      altered(driver, () => ({ heartbeat: () => Promise.resolve({ leases: [], cancelled: [] }) })),
    )
    let reason: unknown
    it.runner(
      [handle(work, async ({ signal }) => ((reason = await aborted(signal)), Promise.reject(new Error('x'))))],
      {
        leaseMs: 30_000,
      },
    ).start()
    await it.jobs.enqueue(work, 1)
    await it.clock.advance(9000)
    expect(reason).toBeUndefined()
    await it.clock.advance(1100)
    expect(reason).toMatchObject({ reason: 'lease_lost' })
  })

  it('that ran out while a handler blocked the event loop starts no further job', async () => {
    await using it = lab()
    let blockedMs = 0
    const clock = { ...it.clock, monotonic: () => it.clock.monotonic() + blockedMs }
    const ran: number[] = []
    const runner = it.runner(
      [
        handle(work, ({ payload }) => {
          ran.push(payload)
          if (payload === 100) blockedMs += 60_000
        }),
      ],
      { concurrency: 1, leaseMs: 30_000, worker: 'blocked' },
      { clock },
    )
    await it.jobs.enqueueMany(
      work,
      Array.from({ length: 300 }, (_, payload) => ({ payload })),
    )
    const returned: number[] = []
    const { step } = it.driver
    it.driver.step = (request) => {
      for (const { as, id } of request.finished) if (as === 'released') returned.push(id)
      return step.call(it.driver, request)
    }
    await runner.runUntilIdle()
    expect(returned.length).toBeGreaterThan(0)
    expect([...ran].sort((a, b) => a - b)).toEqual(Array.from({ length: 300 }, (_, n) => n))
  })

  it('is left by a job that runs long, so that its batch is not held by it', async () => {
    const isolated: number[] = []
    await using it = lab((driver) =>
      altered(driver, (original) => ({
        isolate: (worker, leaseMs, jobs) => {
          isolated.push(...jobs.map((job) => job.id))
          return original.isolate(worker, leaseMs, jobs)
        },
      })),
    )
    const gates = new Map<number, PromiseWithResolvers<void>>()
    const runner = it.runner(
      [
        handle(work, ({ payload }) => {
          const gate = Promise.withResolvers<void>()
          gates.set(payload, gate)
          return gate.promise
        }),
      ],
      { leaseMs: 3000 },
    )
    runner.start()
    await it.settle()
    const added = await it.jobs.enqueueMany(work, [{ payload: 1 }, { payload: 2 }, { payload: 3 }])
    await it.clock.advance(2100)
    expect(isolated.length).toBeGreaterThanOrEqual(2)
    for (const gate of gates.values()) gate.resolve()
    await it.clock.advance(20)
    for (const { id } of added) expect(await it.jobs.get(id!)).toMatchObject({ state: 'done', attempt: 1 })
    expect(runner.status).toMatchObject({ running: 0, unreported: 0 })
  })
})

describe('a store that fails', () => {
  it('is tried until it answers; no end of a run is lost and no job runs twice', async () => {
    const broken = { now: false }
    let failed = 0
    await using it = lab((driver) =>
      altered(driver, (original) => ({
        step: (request) => {
          if (!broken.now) return original.step(request)
          failed++
          return Promise.reject(dbErrors.error('db.unavailable'))
        },
      })),
    )
    const gate = Promise.withResolvers<void>()
    let runs = 0
    const runner = it.runner([handle(work, async () => (runs++, gate.promise))])
    runner.start()
    await it.jobs.enqueueMany(work, [{ payload: 1 }, { payload: 2 }])
    await it.clock.advance(20)
    broken.now = true
    gate.resolve()
    await it.clock.advance(20_000)
    expect(failed).toBeGreaterThan(5)
    expect(failed).toBeLessThan(200)
    expect(runner.status).toMatchObject({ failing: true, unreported: 2 })
    broken.now = false
    await it.clock.advance(3000)
    expect(runner.status).toMatchObject({ failing: false, unreported: 0 })
    expect(runs).toBe(2)
    const [stats] = await it.jobs.stats()
    expect(stats?.counts).toMatchObject({ done: 2, retrying: 0, running: 0 })
  })

  it('because of one report keeps the others, and that job is tried again later', async () => {
    await using it = lab((driver) =>
      altered(driver, (original) => ({
        step: (request) =>
          request.finished.some((report) => report.as === 'done' && report.output === '"poison"')
            ? Promise.reject(dbErrors.error('db.query_failed'))
            : original.step(request),
      })),
    )
    const runner = it.runner([handle(work, ({ payload }) => (payload === 3 ? 'poison' : 'fine'))])
    const added = await it.jobs.enqueueMany(
      work,
      [1, 2, 3, 4, 5].map((payload) => ({ payload })),
    )
    runner.start()
    await it.clock.advance(1000)
    const states = await Promise.all(added.map(async ({ id }) => (await it.jobs.get(id!))?.state))
    expect(states).toEqual(['done', 'done', 'retrying', 'done', 'done'])
    expect(await it.jobs.get(added[2]!.id!)).toMatchObject({ error: { name: 'ReportRefused' } })
  })

  it('makes runUntilIdle reject', async () => {
    await using it = lab((driver) =>
      altered(driver, () => ({ step: () => Promise.reject(dbErrors.error('db.unavailable')) })),
    )
    await expect(it.runner([handle(work, () => {})]).runUntilIdle()).rejects.toMatchObject({ code: 'db.unavailable' })
  })
})
