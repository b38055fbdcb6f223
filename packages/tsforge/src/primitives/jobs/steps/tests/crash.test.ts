import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { defineJob } from '../../define-job.ts'
import { handle } from '../../runner/handler.ts'
import type { JobCall } from '../../runner/handler.ts'
import { signal } from '../signal.ts'
import { postgresLab } from './lab.ts'
import type { StepLab } from './lab.ts'

/** Attempts come a random time within it after each other: none by itself while a test runs. */
const day = 86_400_000
const long = defineJob({ kind: 'long', backoff: { baseMs: day, capMs: day } })

describe('a process that goes away in the middle of a step', () => {
  let lab: StepLab
  beforeAll(async () => {
    lab = await postgresLab()
    await lab.db!.query('create table effects (run text)')
  }, 60_000)
  beforeEach(async () => {
    await lab.clear()
    await lab.db!.query('truncate effects')
  })
  afterAll(() => lab.close())

  const effects = async (): Promise<string[]> =>
    (await lab.db!.query<{ run: string }>('select run from effects order by run')).rows.map(({ run }) => run)

  /** Runs `handler` in a process that freezes where it calls `freeze`, for longer than its lease; another one takes over. */
  const takenOver = async (
    handler: (call: JobCall, run: string, freeze: () => Promise<void>) => Promise<unknown>,
  ): Promise<{ error: unknown; output: unknown }> => {
    const { id } = await lab.jobs.enqueue(long, {})
    const frozen = Promise.withResolvers<void>()
    const thawed = Promise.withResolvers<void>()
    const over = Promise.withResolvers<unknown>()
    const freeze = (): Promise<void> => (frozen.resolve(), thawed.promise)
    const freezing = handle(long, async (call) => {
      try {
        return await handler(call, 'first', freeze)
      } catch (error) {
        over.resolve(error)
        throw error
      } finally {
        over.resolve(undefined)
      }
    })
    // So long that no heartbeat comes meanwhile, whatever the machine does.
    const first = lab.runner([freezing], { leaseMs: 600_000 })
    const ended = first.runUntilIdle().catch(() => 0)
    await frozen.promise
    await lab.pass(700_000)
    await lab.driver.rescue({ baseMs: 1, capMs: 1 })
    await lab.pass(1000)
    await lab.settle(handle(long, (call) => handler(call, 'second', async () => {})))
    thawed.resolve()
    const error = await over.promise
    await first.stop()
    await ended
    return { error, output: (await lab.jobs.get(id!))?.output }
  }

  it('has its effect outside of the store done again, and its result refused: one result is recorded', async () => {
    const { error, output } = await takenOver(({ step }, run, freeze) =>
      step.run('effect', async () => {
        await lab.db!.query('insert into effects values ($1)', [run])
        await freeze()
        return run
      }),
    )
    expect(await effects()).toEqual(['first', 'second'])
    expect(error).toMatchObject({ code: 'jobs.lease_lost' })
    expect(output).toBe('second')
  })

  it('does not repeat steps that it had recorded', async () => {
    const { output } = await takenOver(async ({ step }, run, freeze) => {
      const before = await step.run('before', async () => {
        await lab.db!.query('insert into effects values ($1)', [run])
        return run
      })
      await freeze()
      return [before, await step.run('after', () => run)]
    })
    expect(await effects()).toEqual(['first'])
    expect(output).toEqual(['first', 'second'])
  })

  it('cannot begin a transaction step any more, nor add children or send itself to sleep', async () => {
    for (const late of ['tx', 'fanOut', 'sleep', 'waitForEvent'] as const) {
      await lab.db!.query('truncate effects')
      const { error } = await takenOver(async ({ step }, run, freeze) => {
        await freeze()
        if (run === 'second') return
        if (late === 'tx') await step.tx('x', (tx) => tx.query(`insert into effects values ('zombie')`))
        if (late === 'fanOut') await step.fanOut('x', long, [{}])
        if (late === 'sleep') await step.sleep('x', '1h')
        if (late === 'waitForEvent') await step.waitForEvent('x', { event: 'e' })
      })
      expect(error).toMatchObject({ code: 'jobs.lease_lost' })
      expect(await effects()).toEqual([])
      expect((await lab.db!.query('select from forge_jobs_steps')).rowCount).toBe(0)
      expect((await lab.jobs.list({ state: ['ready', 'scheduled'] })).items).toEqual([])
    }
  })

  it('leaves neither effect nor result of a transaction step that fails', async () => {
    const { id } = await lab.jobs.enqueue(long, {}, { maxAttempts: 2 })
    let attempts = 0
    const handler = handle(long, ({ step }) =>
      step.tx('pay', async (tx) => {
        await tx.query(`insert into effects values ('paid')`)
        if (++attempts === 1) throw new Error('no')
        return 'paid'
      }),
    )
    await lab.settle(handler)
    expect(await effects()).toEqual([])
    await lab.jobs.retry(id!)
    await lab.settle(handler)
    expect(await effects()).toEqual(['paid'])
    expect((await lab.jobs.get(id!))?.output).toBe('paid')
  })

  it('sends a signal of a transaction with its commit, and never without', async () => {
    const { id } = await lab.jobs.enqueue(long, {})
    const handler = handle(long, async ({ step }) => (await step.waitForEvent('x', { event: 'e' }))!.payload)
    await lab.settle(handler)
    await expect(
      lab.db!.tx(async (tx) => {
        expect(await signal(lab.jobs, 'e', 'rolled back', tx)).toBe(1)
        throw new Error('no')
      }),
    ).rejects.toThrow('no')
    await lab.settle(handler)
    expect((await lab.jobs.get(id!))?.state).toBe('scheduled')
    await lab.db!.tx((tx) => signal(lab.jobs, 'e', 'committed', tx))
    await lab.settle(handler)
    expect((await lab.jobs.get(id!))?.output).toBe('committed')
  })

  it('keeps what is waited for and forgets the rest', async () => {
    await lab.jobs.enqueue(long, {})
    await lab.settle(handle(long, ({ step }) => step.waitForEvent('x', { event: 'e' })))
    await signal(lab.jobs, 'other')
    await lab.pass(25 * 3_600_000)
    await lab.db!.query(
      `insert into forge_jobs_steps (job, name, place, kind, ended) values (999999, 'x', 0, 'run', true)`,
    )
    await lab.driver.maintain({ historyDays: 30, deadDays: 30 })
    expect((await lab.db!.query('select from forge_jobs_steps')).rowCount).toBe(1)
    expect((await lab.db!.query('select from forge_jobs_signals')).rowCount).toBe(0)
  })
})
