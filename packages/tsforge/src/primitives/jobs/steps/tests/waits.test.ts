import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { JobId } from '../../driver.ts'
import { defineJob } from '../../define-job.ts'
import { handle } from '../../runner/handler.ts'
import type { JobCall } from '../../runner/handler.ts'
import { ChildrenFailed } from '../failed.ts'
import { signal } from '../signal.ts'
import { stores } from './lab.ts'
import type { StepLab } from './lab.ts'

/** Attempts come a random time within it after each other: none by itself while a test runs. */
const day = 86_400_000
const parent = defineJob({ kind: 'parent', maxAttempts: 3, backoff: { baseMs: day, capMs: day } })
const child = defineJob<{ n: number }>({ kind: 'child', maxAttempts: 1, keepDone: false })

describe.each(stores)('waits of steps in %s', (_name, create) => {
  let lab: StepLab
  let log: string[]
  beforeAll(async () => void (lab = await create()), 60_000)
  beforeEach(async () => {
    await lab.clear()
    log = []
  })
  afterAll(() => lab.close())

  const start = async (): Promise<JobId> => (await lab.jobs.enqueue(parent, {})).id!
  const of = (run: (call: JobCall) => unknown) => handle(parent, run)
  const stateOf = async (id: JobId): Promise<string | undefined> => (await lab.jobs.get(id))?.state
  const note = (text: string): string => {
    log.push(text)
    return text
  }

  describe('events', () => {
    const waiter = of(async ({ step, payload }) => {
      const { match } = payload as { match?: Record<string, unknown> }
      const got = await step.waitForEvent('paid', {
        event: 'payment',
        timeoutMs: 60_000,
        ...(match !== undefined && { match }),
      })
      note(JSON.stringify(got?.payload ?? 'none'))
    })

    it('wake those they fit, and nobody else', async () => {
      await lab.jobs.enqueue(parent, { match: { order: 1 } })
      await lab.jobs.enqueue(parent, { match: { order: 2 } })
      await lab.settle(waiter)
      expect(await signal(lab.jobs, 'payment', { order: 2, extra: [1] })).toBe(1)
      expect(await signal(lab.jobs, 'refund', { order: 1 })).toBe(0)
      await lab.settle(waiter)
      expect(log).toEqual(['{"order":2,"extra":[1]}'])
    })

    it('that came before the wait are found, the oldest first, each once', async () => {
      await start()
      for (const n of [1, 2]) await signal(lab.jobs, 'e', n)
      await lab.settle(
        of(async ({ step }) => {
          for (const name of ['x', 'y']) note(String((await step.waitForEvent(name, { event: 'e' }))?.payload))
          note(String((await step.waitForEvent('z', { event: 'e', timeoutMs: 0 }))?.payload))
        }),
      )
      expect(log.slice(0, 2)).toEqual(['1', '2'])
      expect(log.at(-1)).toBe('undefined')
    })

    it('that are older than the job, or than the wait looks back, are not found', async () => {
      await signal(lab.jobs, 'e', 'old')
      await lab.pass(1000)
      await start()
      await lab.settle(
        of(async ({ step }) => void note(typeof (await step.waitForEvent('x', { event: 'e', timeoutMs: 0 })))),
      )
      await start()
      await lab.settle(
        of(async ({ step }) => {
          note(String((await step.waitForEvent('x', { event: 'e', lookbackMs: 60_000 }))?.payload))
        }),
      )
      expect(log.at(-1)).toBe('old')
      expect(log.at(0)).toBe('undefined')
    })

    it('that do not come end the wait with undefined, for good', async () => {
      const id = await start()
      await lab.settle(waiter)
      await lab.pass(60_001)
      expect(await signal(lab.jobs, 'payment', 'late')).toBe(0)
      await lab.settle(waiter)
      expect(log).toEqual(['"none"'])
      expect(await stateOf(id)).toBe('done')
    })

    it('have one winner among fifty at once', async () => {
      const id = await start()
      let runs = 0
      const handler = of(async ({ step }) => {
        runs++
        return (await step.waitForEvent('x', { event: 'e' }))!.payload
      })
      await lab.settle(handler)
      const woken = await Promise.all(Array.from({ length: 50 }, (_, i) => signal(lab.jobs, 'e', i)))
      expect(woken.reduce((a, b) => a + b)).toBe(1)
      await lab.settle(handler)
      expect((await lab.jobs.get(id))?.output).toBe(woken.indexOf(1))
      expect(runs).toBe(2)
    })

    it('that come while the job is on its way to sleep are not missed', async () => {
      const id = await start()
      let runs = 0
      const handler = of(async ({ step }) => {
        // A signal that comes before the run has read its steps is found there.
        await step.run('begin', () => 1)
        const waiting = step.waitForEvent('x', { event: 'e' })
        // The wait is stored since the first run, and the second one is not over.
        if (++runs === 2) note(String(await signal(lab.jobs, 'e', 'now')))
        return (await waiting)!.payload
      })
      await lab.settle(handler)
      await lab.jobs.retry(id)
      await lab.settle(handler)
      expect([log, runs]).toEqual([['1'], 3])
      expect(await lab.jobs.get(id)).toMatchObject({ state: 'done', output: 'now' })
    })
  })

  describe('children', () => {
    const children = handle(child, ({ payload: { n } }) => {
      if (n < 0) throw new Error(`no ${n}`)
      return n * 2
    })

    it('are added once, and their results come in the order of the payloads', async () => {
      const id = await start()
      let fails = true
      const handler = of(async ({ step }) => {
        const group = await step.fanOut<{ n: number }, number>('split', child, [{ n: 1 }, { n: 2 }, { n: 3 }])
        if (fails) {
          fails = false
          throw new Error('after the fan-out')
        }
        return (await step.join(group)).map(({ output }) => output)
      })
      await lab.settle(handler)
      await lab.pass(day)
      await lab.settle(handler, children)
      await lab.settle(handler, children)
      expect(await lab.jobs.get(id)).toMatchObject({ state: 'done', output: [2, 4, 6] })
      expect((await lab.jobs.list({ kind: 'child' })).items).toHaveLength(3)
    })

    it('of an empty fan-out are joined at once', async () => {
      const id = await start()
      await lab.settle(of(async ({ step }) => step.join(await step.fanOut('split', child, []))))
      expect(await lab.jobs.get(id)).toMatchObject({ state: 'done', output: [] })
    })

    it('that fail end their parent as dead, unless it collects', async () => {
      const id = await start()
      await lab.settle(
        of(({ step }) => step.invoke('one', child, { n: -1 })),
        children,
      )
      expect(await lab.jobs.get(id)).toMatchObject({ state: 'dead', deadReason: 'discarded', attempt: 1 })
      const other = await start()
      await lab.settle(
        of(async ({ step }) => {
          const group = await step.fanOut('two', child, [{ n: -1 }, { n: 4 }])
          const thrown = await step.join(group).catch((error: unknown) => error)
          if (!(thrown instanceof ChildrenFailed)) throw thrown
          return (await step.join(group, { onFailure: 'collect' })).map(({ state, error }) => [state, error?.message])
        }),
        children,
      )
      expect((await lab.jobs.get(other))?.output).toEqual([
        ['dead', 'no -1'],
        ['done', null],
      ])
    })

    it('are cancelled when one fails and the parent wants it so', async () => {
      const id = await start()
      const handler = of(async ({ step }) => {
        const group = await step.fanOut('split', child, [{ n: -1 }, { n: 1 }], { failFast: true, delayMs: 60_000 })
        return (await step.join(group, { onFailure: 'collect' })).map(({ state }) => state)
      })
      await lab.settle(handler, children)
      const [second, first] = (await lab.jobs.list({ kind: 'child' })).items
      await lab.jobs.retry(first!.id)
      await lab.settle(handler, children)
      expect(await stateOf(second!.id)).toBe('cancelled')
      expect((await lab.jobs.get(id))?.output).toEqual(['dead', 'cancelled'])
    })

    it('that somebody cancels, or whose process dies for good, are counted too', async () => {
      const id = await start()
      const handler = of(async ({ step }) => {
        const group = await step.fanOut('split', child, [{ n: 1 }, { n: 2 }])
        return (await step.join(group, { onFailure: 'collect' })).map(({ state }) => state)
      })
      await lab.settle(handler)
      const [second, first] = (await lab.jobs.list({ kind: 'child' })).items
      await lab.jobs.cancel(first!.id)
      await lab.driver.step({
        ...{ queue: 'default', worker: 'w', leaseMs: 1000, kinds: ['child'], want: 1, finished: [], idle: false },
      })
      await lab.pass(2000)
      await lab.driver.rescue({ baseMs: 1, capMs: 1 })
      expect(await stateOf(second!.id)).toBe('dead')
      await lab.settle(handler)
      expect((await lab.jobs.get(id))?.output).toEqual(['cancelled', 'dead'])
    })

    it('end with a parent that is cancelled', async () => {
      const id = await start()
      await lab.settle(
        of(async ({ step }) => step.join(await step.fanOut('split', child, [{ n: 1 }, { n: 2 }], { delayMs: 1000 }))),
      )
      expect(await lab.jobs.cancel(id)).toBe('cancelled')
      const states = (await lab.jobs.list({ kind: 'child' })).items.map(({ state }) => state)
      expect(states).toEqual(['cancelled', 'cancelled'])
    })

    it('by the thousand advance their parent once', async () => {
      const id = await start()
      let joined = 0
      let runs = 0
      const handler = of(async ({ step }) => {
        runs++
        const group = await step.fanOut<{ n: number }, number>(
          'split',
          child,
          Array.from({ length: 1000 }, (_, n) => ({ n })),
        )
        const results = await step.join(group)
        joined++
        return results.reduce((sum, { output }) => sum + output!, 0)
      })
      await lab.settle(handler)
      // Four processes end the children at the same time.
      await Promise.all([1, 2, 3, 4].map(() => lab.settle(children)))
      await lab.settle(handler)
      expect(await lab.jobs.get(id)).toMatchObject({ state: 'done', output: 999_000 })
      expect([runs, joined]).toEqual([2, 1])
    }, 60_000)
  })
})
