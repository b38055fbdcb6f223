import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { JobId } from '../../driver.ts'
import { defineJob } from '../../define-job.ts'
import { handle } from '../../runner/handler.ts'
import type { JobCall } from '../../runner/handler.ts'
import { signal } from '../signal.ts'
import { stores } from './lab.ts'
import type { StepLab } from './lab.ts'

/** Attempts come a random time within it after each other: none by itself while a test runs. */
const day = 86_400_000
const parent = defineJob({ kind: 'parent', maxAttempts: 3, backoff: { baseMs: day, capMs: day } })
const child = defineJob<{ n: number }>({ kind: 'child', maxAttempts: 1, keepDone: false })

describe.each(stores)('steps in %s', (_name, create) => {
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

  describe('results', () => {
    it('are remembered over attempts, and are what JSON makes of them the first time too', async () => {
      const id = await start()
      const seen: unknown[] = []
      const handler = of(async ({ step, attempt }) => {
        seen.push(await step.run('one', () => (note('one'), { at: new Date(0), gone: undefined })))
        expect(await step.run('two', () => void note('two'))).toBeNull()
        if (attempt === 1) throw new Error('no')
        return 'end'
      })
      await lab.settle(handler)
      await lab.pass(day)
      await lab.settle(handler)
      expect(log).toEqual(['one', 'two'])
      expect(seen).toEqual([{ at: '1970-01-01T00:00:00.000Z' }, { at: '1970-01-01T00:00:00.000Z' }])
      expect(await lab.jobs.get(id)).toMatchObject({ state: 'done', output: 'end', attempt: 2 })
    })

    it('of a step that throws are not remembered: the next attempt runs it again', async () => {
      const id = await start()
      const handler = of(({ step, attempt }) =>
        step.run('one', () => {
          note('one')
          if (attempt < 2) throw new Error('no')
        }),
      )
      await lab.settle(handler)
      await lab.pass(day)
      await lab.settle(handler)
      expect(log).toEqual(['one', 'one'])
      expect(await stateOf(id)).toBe('done')
    })

    it('of a run that has lost its lease are refused, and those of the next run stay', async () => {
      await start()
      const claim = async (worker: string): Promise<{ job: number; lease: number }> => {
        const { jobs } = await lab.driver.step({
          ...{ queue: 'default', worker, leaseMs: 1000, kinds: ['parent'], want: 1, finished: [], idle: false },
        })
        return { job: jobs[0]!.id, lease: jobs[0]!.lease }
      }
      const zombie = await claim('zombie')
      await lab.pass(2000)
      await lab.driver.rescue({ baseMs: 1, capMs: 1 })
      await lab.pass(1000)
      const heir = await claim('heir')
      const place = { name: 'one', place: 0 }
      const { steps } = lab.driver
      expect(await steps.result(zombie, place, '"zombie"')).toBeUndefined()
      expect(await steps.sleep(zombie, { name: 's', place: 1 }, { inMs: 5 })).toBeUndefined()
      expect(await steps.load(zombie)).toBeUndefined()
      expect(await steps.result(heir, place, '"heir"')).toMatchObject({ value: 'heir' })
      expect(await steps.result(heir, place, '"again"')).toMatchObject({ value: 'heir' })
      expect(await steps.load(heir)).toMatchObject([{ name: 'one', value: 'heir' }])
    })

    it('leave with their job', async () => {
      const id = await start()
      await lab.settle(of(({ step }) => step.run('one', () => 1)))
      expect(await stateOf(id)).toBe('done')
      if (lab.db !== undefined) expect((await lab.db.query('select from forge_jobs_steps')).rowCount).toBe(0)
    })

    it('outlive a dead job, which goes on where it had come to when it is made new', async () => {
      const id = await start()
      let broken = true
      const handler = of(async ({ step }) => {
        await step.run('one', () => note('one'))
        await step.run('two', () => {
          if (broken) throw new Error('no')
          note('two')
        })
      })
      for (let i = 0; i < 3; i++) {
        await lab.settle(handler)
        await lab.pass(day)
      }
      expect(await stateOf(id)).toBe('dead')
      await lab.driver.maintain({ historyDays: 30, deadDays: 30 })
      broken = false
      await lab.jobs.retry(id)
      await lab.settle(handler)
      expect(log).toEqual(['one', 'two'])
      expect(await stateOf(id)).toBe('done')
    })
  })

  describe('names', () => {
    it('that come twice in a run fail it', async () => {
      const id = await start()
      await lab.settle(
        of(async ({ step }) => {
          await step.run('one', () => 1)
          await step.run('one', () => 2)
        }),
      )
      expect((await lab.jobs.get(id))?.error?.message).toContain('Two steps of one run are named "one"')
    })

    it.each([
      ['renamed', 'other', 'b'],
      ['reordered', 'b', 'a'],
    ])('that were %s since are told, and nothing runs', async (_case, first, second) => {
      const id = await start()
      await lab.settle(
        of(async ({ step }) => {
          await step.run('a', () => 1)
          await step.run('b', () => 2)
          throw new Error('no')
        }),
      )
      await lab.pass(day)
      await lab.settle(
        of(async ({ step }) => {
          await step.run(first, () => note('ran'))
          await step.run(second, () => note('ran'))
        }),
      )
      expect(log).toEqual([])
      expect((await lab.jobs.get(id))?.error?.message).toMatch(/came to step "(other|b)" in place 0.*"a" before/)
    })

    it('whose step is of another kind now are told', async () => {
      const id = await start()
      await lab.settle(
        of(async ({ step }) => {
          await step.run('a', () => 1)
          throw new Error('no')
        }),
      )
      await lab.pass(day)
      await lab.settle(of(({ step }) => step.sleep('a', '1h')))
      expect((await lab.jobs.get(id))?.error?.message).toContain('"a (run)" before')
    })
  })

  describe('hostile input', () => {
    it.each<[string, (call: JobCall) => Promise<unknown>, string]>([
      ['an empty name', ({ step }) => step.run('', () => 1), 'its name must be'],
      ['a name with quotes', ({ step }) => step.run(`a'; drop table x`, () => 1), 'its name must be'],
      ['NUL', ({ step }) => step.run('a', () => 'a\0b'), 'holds NUL'],
      ['half a character', ({ step }) => step.run('a', () => '\ud800'), 'holds NUL or half'],
      ['a circle', ({ step }) => step.run('a', () => circle()), 'cannot be written as JSON'],
      ['a function', ({ step }) => step.run('a', () => () => 1), 'cannot be written as JSON'],
      ['a megabyte', ({ step }) => step.run('a', () => 'x'.repeat(1_048_576)), 'larger than 262144 bytes'],
      ['a negative duration', ({ step }) => step.sleep('a', -1), 'is no duration'],
      ['a duration without end', ({ step }) => step.sleep('a', 1e15), '100 years'],
      ['no moment', ({ step }) => step.sleepUntil('a', new Date(Number.NaN)), 'moment'],
      ['no event', ({ step }) => step.waitForEvent('a', { event: '' }), 'its event must have'],
      ['a list to match', ({ step }) => step.waitForEvent('a', { event: 'e', match: [] as never }), 'is an object'],
      ['NaN as a limit', ({ step }) => step.waitForEvent('a', { event: 'e', timeoutMs: Number.NaN }), 'timeoutMs'],
      ['too many jobs', ({ step }) => step.fanOut('a', child, Array.from({ length: 10_001 })), 'more than 10000'],
      ['strange children', ({ step }) => step.join({ step: '__proto__' }), 'has added no jobs'],
    ])('%s fails the attempt with a clear error', async (_case, run, message) => {
      const id = await start()
      await lab.settle(of(run))
      expect((await lab.jobs.get(id))?.error?.message).toContain(message)
    })

    it('refuses events and payloads that nobody can store', async () => {
      for (const [event, payload] of [
        ['', 1],
        ['e\0', 1],
        ['e', '\0'],
        ['x'.repeat(201), 1],
        ['e', circle()],
      ] as const)
        await expect(signal(lab.jobs, event, payload)).rejects.toThrow('The step "signal"')
    })

    it('does not end the process when nobody waits for a step that fails', async () => {
      const id = await start()
      await lab.settle(
        of(({ step }) => {
          void step.run('', () => 1)
          void step.run('a', () => {
            throw new Error('no')
          })
          void step.sleep('b', '1d')
        }),
      )
      expect(await stateOf(id)).toBe('done')
    })
  })

  describe('sleep', () => {
    const sleeper = of(async ({ step, attempt }) => {
      await step.run('before', () => note('before'))
      await step.sleep('night', '8h')
      await step.run('after', () => note(`after ${attempt}`))
    })

    it('holds no worker, counts no attempt, and survives the process', async () => {
      const id = await start()
      await lab.settle(sleeper)
      expect(await lab.jobs.get(id)).toMatchObject({ state: 'scheduled', attempt: 0, worker: undefined })
      await lab.pass(7 * 3_600_000)
      await lab.settle(sleeper)
      expect(log).toEqual(['before'])
      await lab.pass(3_600_001)
      await lab.settle(sleeper)
      expect(log).toEqual(['before', 'after 1'])
      expect(await stateOf(id)).toBe('done')
    })

    it('goes on sleeping when somebody wakes it too early', async () => {
      const id = await start()
      await lab.settle(sleeper)
      await lab.jobs.retry(id)
      await lab.settle(sleeper)
      expect(log).toEqual(['before'])
      expect(await stateOf(id)).toBe('scheduled')
    })

    it('until a moment that has passed does not wait', async () => {
      await start()
      await lab.settle(
        of(async ({ step }) => {
          await step.sleepUntil('past', new Date(1))
          note('on')
        }),
      )
      expect(log).toEqual(['on'])
    })

    it('cannot be undone by a handler that catches everything', async () => {
      const id = await start()
      await lab.settle(of(async ({ step }) => step.sleep('long', '1d').catch(() => 'caught')))
      expect(await stateOf(id)).toBe('scheduled')
    })

    it('begins when steps beside it have ended, and their results are kept', async () => {
      const id = await start()
      const handler = of(async ({ step }) => {
        await Promise.all([
          step.sleep('long', '1h'),
          step.run('slow', async () => {
            await new Promise((resolve) => setTimeout(resolve, 5))
            note('slow')
          }),
        ])
        note('both')
      })
      await lab.settle(handler)
      await lab.pass(3_600_001)
      await lab.settle(handler)
      expect(log).toEqual(['slow', 'both'])
      expect(await stateOf(id)).toBe('done')
    })
  })
})

function circle(): unknown {
  const value: Record<string, unknown> = {}
  value['self'] = value
  return value
}
