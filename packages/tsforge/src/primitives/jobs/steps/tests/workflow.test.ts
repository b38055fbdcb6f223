import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { JobId } from '../../driver.ts'
import { defineWorkflow } from '../workflow.ts'
import type { Task, Workflow } from '../workflow.ts'
import { stores } from './lab.ts'
import type { StepLab } from './lab.ts'

const none: Task = { run: () => {} }

describe('the definition of a workflow', () => {
  it.each<[string, string, Readonly<Record<string, Task>>, string]>([
    ['without tasks', 'w', {}, '1 to 200 tasks'],
    ['without a name', '', { a: none }, 'its name must be'],
    ['with a strange task', 'w', { 'a b': none }, 'no name for a task'],
    ['with an unknown need', 'w', { a: { ...none, needs: ['b'] } }, '"a" needs "b", which is not there'],
    ['with an inherited need', 'w', { a: { ...none, needs: ['toString'] } }, 'which is not there'],
    ['with a need twice', 'w', { a: none, b: { ...none, needs: ['a', 'a'] } }, 'twice'],
    ['that needs itself', 'w', { a: { ...none, needs: ['a'] } }, 'need each other: a'],
    ['with a circle', 'w', { s: none, a: { ...none, needs: ['s', 'b'] }, b: { ...none, needs: ['a'] } }, 'a, b'],
    ['with nothing to run', 'w', { a: {} as Task }, 'nothing to run'],
  ])('%s is refused', (_case, name, tasks, reason) => {
    expect(() => defineWorkflow({ name, tasks })).toThrow(reason)
  })
})

describe.each(stores)('workflows in %s', (_name, create) => {
  let lab: StepLab
  let ran: string[]
  beforeAll(async () => void (lab = await create()), 60_000)
  beforeEach(async () => {
    await lab.clear()
    ran = []
  })
  afterAll(() => lab.close())

  const task = (
    name: string,
    needs: readonly string[] = [],
    run: (sum: number) => unknown = (sum) => sum + 1,
  ): Task => ({
    needs,
    maxAttempts: 1,
    run: ({ results }) => {
      ran.push(name)
      return run(Object.values(results).reduce<number>((sum, one) => sum + (one as number), 0))
    },
  })
  const statesOf = async (flow: Pick<Workflow, 'status'>, id: JobId): Promise<Record<string, string>> => {
    const status = await flow.status(lab.jobs, id)
    return Object.fromEntries(Object.entries(status!.tasks).map(([name, { state }]) => [name, state]))
  }

  it('run each task once, after those it needs and with what they gave', async () => {
    const flow = defineWorkflow({
      name: 'diamond',
      tasks: { a: task('a'), b: task('b', ['a']), c: task('c', ['a']), d: task('d', ['b', 'c']) },
    })
    const id = await flow.start(lab.jobs, { any: 'input' })
    await Promise.all([1, 2, 3].map(() => lab.settle(...flow.handlers)))
    await lab.settle(...flow.handlers)
    expect(ran.toSorted()).toEqual(['a', 'b', 'c', 'd'])
    expect(ran[0] + ran[3]!).toBe('ad')
    expect(await lab.jobs.get(id)).toMatchObject({ state: 'done', output: { a: 1, b: 2, c: 2, d: 5 } })
  })

  it('give tasks their input and tell what waits for what', async () => {
    const flow = defineWorkflow<{ n: number }>({
      name: 'two',
      tasks: { a: { run: ({ input }) => input.n }, b: { needs: ['a'], run: ({ results }) => results['a'] } },
    })
    const id = await flow.start(lab.jobs, { n: 7 })
    expect(await flow.status(lab.jobs, id)).toEqual({ id, state: 'open', tasks: {} })
    await lab.settle(flow.handlers[0]!)
    expect(await statesOf(flow, id)).toEqual({ a: 'open', b: 'waiting' })
    await lab.settle(flow.handlers[1]!)
    expect(await statesOf(flow, id)).toEqual({ a: 'done', b: 'open' })
    await lab.settle(...flow.handlers)
    expect(await lab.jobs.get(id)).toMatchObject({ state: 'done', output: { a: 7, b: 7 } })
    expect(await flow.status(lab.jobs, id + 1)).toBeUndefined()
  })

  it('leave out what needs a failed task, finish the rest, and are dead then', async () => {
    const flow = defineWorkflow({
      name: 'half',
      tasks: {
        bad: task('bad', [], () => {
          throw new Error('no')
        }),
        next: task('next', ['bad']),
        last: task('last', ['next']),
        other: task('other'),
        after: task('after', ['other']),
      },
    })
    const id = await flow.start(lab.jobs, {})
    for (let i = 0; i < 3; i++) await lab.settle(...flow.handlers)
    expect(ran.toSorted()).toEqual(['after', 'bad', 'other'])
    const record = await lab.jobs.get(id)
    expect(record).toMatchObject({ state: 'dead', deadReason: 'discarded' })
    expect(record!.error!.message).toContain('3 of the 5 jobs')
    expect(await statesOf(flow, id)).toEqual({
      ...{ bad: 'dead', next: 'cancelled', last: 'cancelled', other: 'done', after: 'done' },
    })
  })

  it('are cancelled as a whole, with tasks that run being told', async () => {
    const flow = defineWorkflow({
      name: 'long',
      tasks: {
        a: {
          run: async ({ signal, job }) => {
            await flow.cancel(lab.jobs, root)
            ran.push(`a ${job.kind}`)
            if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve))
            throw new Error('ended')
          },
        },
        b: { needs: ['a'], run: () => void ran.push('b') },
      },
    })
    const root = await flow.start(lab.jobs, {})
    const runner = lab.runner(flow.handlers, { pollMs: 20, leaseMs: 15_000 })
    runner.start()
    await expect
      .poll(async () => (await lab.jobs.list({ state: 'cancelled' })).items.length, { timeout: 20_000 })
      .toBe(3)
    await runner.stop()
    expect(ran).toEqual(['a long.a'])
    expect((await flow.status(lab.jobs, root))!.state).toBe('cancelled')
    await expect(flow.cancel(lab.jobs, root)).rejects.toThrow('no such job')
  })

  it('keep a task waiting that somebody makes due by hand', async () => {
    const flow = defineWorkflow({ name: 'order', tasks: { a: task('a'), b: task('b', ['a']) } })
    const id = await flow.start(lab.jobs, {})
    await lab.settle(flow.handlers[0]!)
    const { tasks } = (await flow.status(lab.jobs, id))!
    await lab.jobs.retry(tasks['b']!.id)
    await lab.settle(flow.handlers[2]!)
    expect(ran).toEqual([])
    await lab.settle(...flow.handlers)
    expect(ran).toEqual(['a', 'b'])
    expect((await lab.jobs.get(id))!.state).toBe('done')
  })
})
