import { describe, expect, it } from 'vitest'
import { defineJob } from '../../define-job.ts'
import type { StepRequest } from '../../driver.ts'
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

  it('gives stock back that found no place for two seconds', async () => {
    await using it = lab()
    const gate = Promise.withResolvers<void>()
    const runner = it.runner([handle(work, ({ payload }) => (payload < 10 ? undefined : gate.promise))], {
      concurrency: 1,
    })
    runner.start()
    await it.jobs.enqueueMany(
      work,
      Array.from({ length: 60 }, (_, payload) => ({ payload })),
    )
    await it.clock.advance(100)
    expect(runner.status.stock).toBeGreaterThan(10)
    const counts = async () => (await it.jobs.stats())[0]!.counts
    expect((await counts()).ready).toBeLessThan(40)
    await it.clock.advance(1500)
    expect(runner.status.stock).toBeGreaterThan(10)
    await it.clock.advance(2500)
    expect(runner.status).toMatchObject({ stock: 0, running: 1 })
    expect(await counts()).toMatchObject({ ready: 49, running: 1, retrying: 0 })
    gate.resolve()
    await it.clock.advance(5000)
    expect(await counts()).toMatchObject({ done: 60 })
  })

  it('lets the event loop turn between handlers that never wait', async () => {
    await using it = lab()
    let ran = 0
    const seen: number[] = []
    const look = (): void => {
      seen.push(ran)
      if (ran < 3000) setImmediate(look)
    }
    await it.jobs.enqueueMany(
      work,
      Array.from({ length: 3000 }, (_, payload) => ({ payload })),
    )
    const runner = it.runner([handle(work, () => void ran++)])
    setImmediate(look)
    await runner.runUntilIdle()
    expect(ran).toBe(3000)
    const most = Math.max(...seen.map((now, turn) => now - (seen[turn - 1] ?? 0)))
    expect(most).toBeLessThanOrEqual(2 * 256)
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

  it('leaves places to other queues when all jobs of one hang', async () => {
    await using it = lab()
    const hold = Promise.withResolvers<void>()
    const ran: string[] = []
    const runner = it.runner(
      [
        handle(work, async ({ job }) => {
          ran.push(job.queue)
          if (job.queue === 'slow') await hold.promise
        }),
      ],
      { concurrency: 8, queues: [{ name: 'default' }, { name: 'slow' }] },
    )
    runner.start()
    await it.jobs.enqueueMany(
      work,
      Array.from({ length: 50 }, (_, payload) => ({ payload })),
      { queue: 'slow' },
    )
    await it.clock.advance(2000)
    await it.jobs.enqueue(work, 1)
    await it.clock.advance(2000)
    expect(ran.filter((queue) => queue === 'slow')).toHaveLength(6)
    expect(ran).toContain('default')
    hold.resolve()
    await runner.drain()
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
