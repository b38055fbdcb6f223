import { describe, expect, it } from 'vitest'
import { dbErrors } from '../../../db/index.ts'
import { defineJob } from '../../define-job.ts'
import type { StepRequest } from '../../driver.ts'
import { jobFinished } from '../../events.ts'
import type { JobFinished } from '../../events.ts'
import { handle } from '../handler.ts'
import type { JobAborted } from '../handler.ts'
import { aborted, altered, lab } from './lab.ts'

const work = defineJob<number>({ kind: 'work', backoff: { baseMs: 1000, capMs: 1000 } })

describe('a runner', () => {
  it('runs what comes, at most so many at once, and hears of new work without polling', async () => {
    await using it = lab()
    let now = 0
    let most = 0
    const gate = Promise.withResolvers<void>()
    const runner = it.runner(
      [
        handle(work, async () => {
          most = Math.max(most, ++now)
          await gate.promise
          now--
        }),
      ],
      { concurrency: 3, pollMs: 3_600_000 },
    )
    runner.start()
    await it.settle()
    await it.jobs.enqueueMany(
      work,
      [1, 2, 3, 4, 5, 6, 7].map((payload) => ({ payload })),
    )
    await it.clock.advance(20)
    expect(now).toBe(3)
    gate.resolve()
    await it.clock.advance(100)
    expect(most).toBe(3)
    const [stats] = await it.jobs.stats()
    expect(stats?.counts).toMatchObject({ done: 7, ready: 0, running: 0 })
  })

  it('looks by itself when the store calls nobody', async () => {
    await using it = lab((driver) =>
      altered(driver, () => ({ capabilities: { ...driver.capabilities, listen: false } })),
    )
    let ran = 0
    it.runner([handle(work, () => void ran++)], { pollMs: 1000 }).start()
    await it.settle()
    await it.jobs.enqueueMany(work, [{ payload: 1 }])
    await it.settle()
    expect(ran).toBe(0)
    await it.clock.advance(1000)
    expect(ran).toBe(1)
  })

  it('runs a job at its time, and not a poll later', async () => {
    await using it = lab()
    const at: number[] = []
    it.runner([handle(work, () => void at.push(it.clock.monotonic()))], { pollMs: 30_000 }).start()
    await it.settle()
    await it.jobs.enqueueMany(work, [{ payload: 1 }], { delayMs: 700 })
    await it.clock.advance(10)
    const began = at.length
    await it.clock.advance(30_000)
    expect(began).toBe(0)
    expect(at[0]).toBeLessThan(1100)
  })

  it('leaves kinds alone that it does not know', async () => {
    await using it = lab()
    const newer = defineJob({ kind: 'newer' })
    const { id } = await it.jobs.enqueue(newer, null)
    await it.runner([handle(work, () => {})]).runUntilIdle()
    expect(await it.jobs.get(id!)).toMatchObject({ state: 'ready', attempt: 0 })
  })

  it('runs until idle what jobs add, in whatever queue, and nothing that is not due', async () => {
    await using it = lab()
    const chain = defineJob<number>({ kind: 'chain', queue: 'chain' })
    const ran: number[] = []
    const runner = it.runner([
      handle(chain, async ({ payload }) => {
        ran.push(payload)
        await it.jobs.enqueue(work, payload)
      }),
      handle(work, async ({ payload }) => {
        if (payload < 3) await it.jobs.enqueue(chain, payload + 1)
        else await it.jobs.enqueue(chain, 99, { delayMs: 1 })
      }),
    ])
    await it.jobs.enqueue(chain, 1)
    expect(await runner.runUntilIdle()).toBe(6)
    expect(ran).toEqual([1, 2, 3])
    await it.clock.advance(1)
    await runner.runUntilIdle()
    expect(ran).toEqual([1, 2, 3, 99])
    expect(await runner.runUntilIdle()).toBe(0)
  })

  it('serves queues by their weights, and one never starves the other', async () => {
    await using it = lab()
    const ran: string[] = []
    const runner = it.runner([handle(work, ({ job }) => Promise.resolve().then(() => void ran.push(job.queue)))], {
      concurrency: 1,
      queues: [
        { name: 'big', weight: 3 },
        { name: 'small', weight: 1 },
      ],
    })
    for (const queue of ['big', 'small'])
      await it.jobs.enqueueMany(
        work,
        Array.from({ length: 400 }, (_, payload) => ({ payload })),
        { queue },
      )
    await runner.runUntilIdle()
    const early = ran.slice(40, 240)
    const small = early.filter((queue) => queue === 'small').length
    expect(small).toBeGreaterThan(20)
    expect(small).toBeLessThan(100)
    expect(ran).toHaveLength(800)
  })

  it('holds a queue to its own concurrency', async () => {
    await using it = lab()
    let now = 0
    let most = 0
    const runner = it.runner(
      [
        handle(work, async () => {
          most = Math.max(most, ++now)
          await new Promise((resolve) => setImmediate(resolve))
          now--
        }),
      ],
      { concurrency: 10, queues: [{ name: 'default', concurrency: 2 }] },
    )
    await it.jobs.enqueueMany(
      work,
      Array.from({ length: 20 }, (_, payload) => ({ payload })),
    )
    expect(await runner.runUntilIdle()).toBe(20)
    expect(most).toBe(2)
  })

  it('starts what this process adds without a claim, when it is idle', async () => {
    const asked: StepRequest[] = []
    await using it = lab((driver) =>
      altered(driver, (original) => ({
        step: (request) => {
          if (request.want > 0) asked.push(request)
          return original.step(request)
        },
      })),
    )
    let ran = 0
    const runner = it.runner([handle(work, () => void ran++)])
    runner.start()
    await it.settle()
    const before = asked.length
    const { id } = await it.jobs.enqueue(work, 1)
    await it.settle()
    expect(ran).toBe(1)
    expect(asked.length).toBe(before)
    expect(await it.jobs.get(id!)).toMatchObject({ state: 'done' })
    // More than there is room for waits in the store as usual.
    await Promise.all(Array.from({ length: 200 }, (_, n) => it.jobs.enqueue(work, n)))
    await it.clock.advance(1000)
    expect(ran).toBe(201)
    expect(runner.status).toMatchObject({ running: 0, stock: 0, unreported: 0 })
  })

  it('tells a running job that it was cancelled, and ends one that lies in its stock', async () => {
    await using it = lab()
    const reasons: unknown[] = []
    const runner = it.runner(
      [
        handle(work, async ({ signal }) => {
          reasons.push(await aborted(signal))
          throw new Error('gave up')
        }),
      ],
      { concurrency: 1 },
    )
    runner.start()
    const { id } = await it.jobs.enqueue(work, 1)
    await it.settle()
    expect(await it.jobs.cancel(id!)).toBe('requested')
    await it.clock.advance(10)
    expect(reasons).toEqual([expect.objectContaining({ reason: 'cancelled' })])
    expect(await it.jobs.get(id!)).toMatchObject({ state: 'cancelled' })
  })

  it('learns of a cancellation from its heartbeat when the call was missed', async () => {
    await using it = lab((driver) =>
      altered(driver, () => ({ capabilities: { ...driver.capabilities, listen: false } })),
    )
    let reason: unknown
    it.runner(
      [handle(work, async ({ signal }) => ((reason = await aborted(signal)), Promise.reject(new Error('x'))))],
      {
        leaseMs: 3000,
      },
    ).start()
    const { id } = await it.jobs.enqueue(work, 1)
    await it.clock.advance(1000)
    await it.jobs.cancel(id!)
    await it.clock.advance(1100)
    expect(reason).toMatchObject({ reason: 'cancelled' })
    expect(await it.jobs.get(id!)).toMatchObject({ state: 'cancelled' })
  })
})

describe('a runner that stops', () => {
  it('hands back at once what has not started, finishes what runs, and leaves nothing', async () => {
    await using it = lab()
    const gate = Promise.withResolvers<void>()
    let slow = false
    const runner = it.runner([handle(work, async () => (slow ? gate.promise : undefined))], { concurrency: 2 })
    runner.start()
    // A rate to expect, so that there is a stock.
    await it.jobs.enqueueMany(
      work,
      Array.from({ length: 500 }, (_, payload) => ({ payload })),
    )
    await it.clock.advance(100)
    slow = true
    await it.jobs.enqueueMany(
      work,
      Array.from({ length: 50 }, (_, payload) => ({ payload })),
    )
    await it.clock.advance(20)
    expect(runner.status.running).toBe(2)
    expect(runner.status.stock).toBeGreaterThan(0)
    let drained = false
    const draining = runner.drain().then(() => (drained = true))
    await it.settle()
    const [stats] = await it.jobs.stats()
    expect(stats?.counts).toMatchObject({ running: 2, ready: 48 })
    expect(drained).toBe(false)
    gate.resolve()
    await it.clock.advance(10)
    await draining
    await Promise.all([runner.stop(), it.clock.advance(5000)])
    const [after] = await it.jobs.stats()
    expect(after?.counts).toMatchObject({ running: 0, ready: 48, retrying: 0, done: 502 })
    expect(it.clock.pending).toBe(0)
  })

  it('aborts what outlasts the grace time and hands it back without counting the attempt', async () => {
    await using it = lab()
    const reasons: unknown[] = []
    const runner = it.runner(
      [
        handle(work, async ({ payload, signal }) => {
          if (payload === 2) return new Promise(() => {})
          reasons.push(await aborted(signal))
          throw new Error('stopped')
        }),
      ],
      { graceMs: 3000 },
    )
    runner.start()
    await it.jobs.enqueueMany(work, [{ payload: 1 }, { payload: 2 }])
    await it.clock.advance(50)
    let stopped = false
    const stopping = (async () => {
      await runner.drain()
      await runner.stop()
      stopped = true
    })()
    await it.clock.advance(2900)
    expect(reasons).toEqual([])
    await it.clock.advance(1200)
    await stopping
    expect(stopped).toBe(true)
    expect((reasons[0] as JobAborted).reason).toBe('shutdown')
    const [stats] = await it.jobs.stats()
    expect(stats?.counts).toMatchObject({ ready: 2, running: 0, retrying: 0 })
  })

  it('does not wait for the grace time when it is told to stop meanwhile', async () => {
    await using it = lab()
    const runner = it.runner([handle(work, () => new Promise(() => {}))], { graceMs: 3_600_000 })
    runner.start()
    await it.jobs.enqueue(work, 1)
    await it.settle()
    const drained = runner.drain()
    await Promise.all([drained, runner.stop(), it.clock.advance(3000)])
    const [stats] = await it.jobs.stats()
    expect(stats?.counts).toMatchObject({ ready: 1, running: 0, retrying: 0 })
  })

  it('without having started does nothing, twice', async () => {
    await using it = lab()
    const runner = it.runner([handle(work, () => {})])
    await runner.drain()
    await runner.stop()
    await runner.stop()
    expect(runner.status.state).toBe('stopped')
  })
})

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
