import { randomUUID } from 'node:crypto'
import { Type } from 'typebox'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createContext, runWithContext } from '../../../kernel/context.ts'
import { isPglite } from '../../../testing/server.ts'
import { testDb } from '../../../testing/db.ts'
import type { TestDb } from '../../../testing/db.ts'
import { createJobs } from '../create-jobs.ts'
import { backoffMs, defineJob } from '../define-job.ts'
import type { ClaimedJob, JobsDriver } from '../driver.ts'
import { memory } from '../drivers/memory.ts'
import { postgres } from '../drivers/postgres.ts'
import { jobsAdded } from '../events.ts'
import type { JobsAdded } from '../events.ts'
import type { Jobs } from '../jobs.ts'
import { clear, migrations } from './lab.ts'

const mail = defineJob({
  kind: 'mail.send',
  schema: Type.Object({ to: Type.String({ format: 'email' }), body: Type.Optional(Type.String()) }),
})
const free = defineJob({ kind: 'free' })
const code = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (error: { code?: unknown }) => error.code ?? error,
  )

describe('adding jobs', () => {
  let db: TestDb
  let driver: JobsDriver
  let jobs: Jobs
  beforeAll(async () => {
    db = await testDb({ migrations: [migrations] })
    driver = postgres({ db })
    jobs = createJobs(driver)
    await jobs.start()
  }, 60_000)
  beforeEach(() => clear(db))
  afterAll(() => db[Symbol.asyncDispose]())

  const stored = async (): Promise<number> =>
    (await db.query<{ n: number }>('select count(*) as n from forge_jobs', [])).rows[0]!.n

  it('a start writes the declared settings and leaves paused what somebody has paused', async () => {
    const again = createJobs(driver, { queues: { free: { concurrency: 3 }, shut: { paused: true } } })
    await again.start()
    expect(await driver.settings('free')).toEqual({ concurrency: 3 })
    expect(await driver.settings('shut')).toEqual({ paused: true })
    await jobs.pause('free')
    await jobs.resume('shut')
    await again.start()
    expect(await driver.settings('free')).toEqual({ concurrency: 3, paused: true })
    // What is declared as paused is meant.
    expect(await driver.settings('shut')).toEqual({ paused: true })
  })

  it('exists when the transaction commits and never when it does not', async () => {
    const heard: JobsAdded[] = []
    const listen = (message: unknown): void => void heard.push(message as JobsAdded)
    jobsAdded.subscribe(listen)
    const undone = db.tx(async (tx) => {
      await jobs.enqueue(mail, { to: 'a@b.example' }, { dedupe: 'x' }, tx)
      await jobs.enqueueMany(mail, [{ payload: { to: 'a@b.example' } }], undefined, tx)
      throw new Error('no')
    })
    await expect(undone).rejects.toThrow('no')
    expect(await stored()).toBe(0)
    expect(heard).toEqual([])
    const { id } = await db.tx((tx) => jobs.enqueue(mail, { to: 'a@b.example' }, undefined, tx))
    expect(await jobs.get(id!)).toMatchObject({ kind: 'mail.send', state: 'ready', payload: { to: 'a@b.example' } })
    expect(heard).toEqual([{ kind: 'mail.send', queue: 'default', count: 1 }])
    jobsAdded.unsubscribe(listen)
  })

  it('shares commits between additions of one tick, and resolves after them', async () => {
    let statements = 0
    const counting = new Proxy(driver, {
      get: (target, key) => {
        const value: unknown = Reflect.get(target, key)
        if (key === 'add') statements++
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
    const own = createJobs(counting)
    const added = await Promise.all(
      Array.from({ length: 64 }, (_, i) =>
        own
          .enqueue(free, i, i === 3 ? { dedupe: 'k' } : undefined)
          .then(async (one) => [one.id, await stored()] as const),
      ),
    )
    expect(new Set(added.map(([id]) => id)).size).toBe(64)
    expect(Math.min(...added.map(([, n]) => n))).toBeGreaterThan(0)
    const { items } = await own.list({}, { limit: 100 })
    expect(items.map((one) => one.payload)).toHaveLength(64)
    if (!isPglite()) expect(statements).toBeLessThan(6)
  })

  it('takes the tenant, the actor and the trace along', async () => {
    const tenantId = randomUUID()
    const actor = { kind: 'user', id: randomUUID() } as const
    const trace = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), sampled: true }
    const context = createContext({ requestId: 'r', tenantId, actor, trace })
    const { id } = await runWithContext(context, () => jobs.enqueue(free, 1))
    const found = await jobs.get(id!)
    expect(found).toMatchObject({
      tenantId,
      meta: { actor: ['user', actor.id], trace: `00-${trace.traceId}-${trace.spanId}-01` },
    })
    const { id: without } = await runWithContext(context, () => jobs.enqueue(free, 1, { tenantId: null }))
    expect((await jobs.get(without!))!.tenantId).toBeUndefined()
  })

  it.each([
    ['what the schema refuses', () => jobs.enqueue(mail, { to: 'nobody' })],
    ['another type', () => jobs.enqueue(mail, 5 as never)],
    ['undefined', () => jobs.enqueue(free, undefined)],
    ['a function', () => jobs.enqueue(free, () => 1)],
    ['a bigint', () => jobs.enqueue(free, { n: 1n })],
    ['a circle', () => jobs.enqueue(free, circular())],
    ['NUL', () => jobs.enqueue(free, { text: 'a\0b' })],
    ['half a character', () => jobs.enqueue(free, ['\ud800'])],
    ['nesting without end', () => jobs.enqueue(free, nested(200_000))],
  ])('refuses %s as a payload', async (_, work) => {
    expect(await code(work())).toBe('jobs.payload_invalid')
    expect(await stored()).toBe(0)
  })

  it('stores what only looks dangerous', async () => {
    const payload = JSON.parse(
      '{"__proto__": {"x": 1}, "path": "C:\\\\u0000\\\\ud800", "quote": "\'; drop table x; --", "sep": "\\u001e"}',
    )
    const { id } = await jobs.enqueue(free, payload)
    expect(JSON.stringify((await jobs.get(id!))!.payload)).toBe(JSON.stringify(payload))
  })

  it('refuses payloads above the limit, in bytes', async () => {
    const small = createJobs(driver, { payloadLimit: 100 })
    expect(await code(small.enqueue(free, 'ü'.repeat(49)))).toBeUndefined()
    expect(await code(small.enqueue(free, 'ü'.repeat(50)))).toBe('jobs.payload_too_large')
  })

  it.each([
    [{ queue: '' }],
    [{ queue: 'a b' }],
    [{ priority: 5 }],
    [{ maxAttempts: 0 }],
    [{ timeoutMs: -1 }],
    [{ delayMs: Number.NaN }],
    [{ delayMs: -1 }],
    [{ runAt: new Date(Number.NaN) }],
    [{ tags: ['\0'] }],
    [{ tags: Array.from({ length: 21 }, String) }],
    [{ key: '' }],
    [{ tenantId: 'x' }],
    [{ dedupe: '' }],
    [{ dedupe: 'x'.repeat(501) }],
    [{ dedupe: { key: 'x', mode: 'throttle' } }],
    [{ dedupe: { key: 'x', mode: 'other' } }],
  ])('refuses the options %j', async (options) => {
    expect(await code(jobs.enqueue(free, 1, options as never))).toBe('jobs.option_invalid')
  })

  it('does not fail other additions of its tick with one that the store refuses', async () => {
    const deep = nested(3000)
    const all = await Promise.allSettled([jobs.enqueue(free, 1), jobs.enqueue(free, deep), jobs.enqueue(free, 2)])
    expect([all[0].status, all[2].status]).toEqual(['fulfilled', 'fulfilled'])
  })

  it('adds many with options of their own, in order', async () => {
    const added = await jobs.enqueueMany(
      free,
      Array.from({ length: 500 }, (_, i) => ({ payload: i, ...(i % 100 === 0 && { priority: 1 as const }) })),
      { tags: ['bulk'] },
    )
    const { items } = await jobs.list({ tag: 'bulk' }, { limit: 1000 })
    expect(items.toReversed().map((one) => [one.id, one.payload])).toEqual(added.map((one, i) => [one.id, i]))
    expect(items.filter((one) => one.priority === 1)).toHaveLength(5)
  })

  it('pages through a list', async () => {
    const added = await jobs.enqueueMany(free, [{ payload: 1 }, { payload: 2 }, { payload: 3 }])
    const first = await jobs.list({}, { limit: 2 })
    expect(first.items.map((one) => one.id)).toEqual([added[2]!.id, added[1]!.id])
    const second = await jobs.list({}, { limit: 2, after: first.next! })
    expect(second.items.map((one) => one.id)).toEqual([added[0]!.id])
    expect(second.next).toBeUndefined()
    expect((await jobs.list({}, { after: ['nonsense'] })).items).toEqual([])
  })

  it('cancels, retries and redrives by name', async () => {
    const { id } = await jobs.enqueue(free, 1, { delayMs: 60_000 })
    await jobs.retry(id!)
    expect((await jobs.get(id!))!.state).toBe('ready')
    expect(await jobs.cancel(id!)).toBe('cancelled')
    expect(await code(jobs.cancel(id!))).toBe('jobs.unknown')
    expect(await code(jobs.retry(id!))).toBe('jobs.unknown')
    expect(await code(jobs.cancel(Number.NaN))).toBe('jobs.unknown')
    expect(await jobs.previewRedrive()).toEqual({ count: 0, sample: [] })
    expect(await code(jobs.redrive({ perSecond: 0 }))).toBe('jobs.option_invalid')
    expect(await jobs.redrive()).toBe(0)
  })

  it('hands new jobs to an idle runner of this process', async () => {
    // Its one connection has nobody to race.
    if (isPglite()) return
    const own = createJobs(driver)
    const taken: ClaimedJob[] = []
    let free_ = 1
    const detach = own.attach({
      worker: 'local',
      leaseMs: 30_000,
      reserve: () => free_-- > 0,
      unreserve: () => {},
      accept: (list) => void taken.push(...list),
    })
    const added = await Promise.all([own.enqueue(free, { n: 1 }), own.enqueue(free, { n: 2 })])
    expect(taken).toMatchObject([{ id: added[0]!.id, payload: { n: 1 }, attempt: 1 }])
    const { jobs: rest } = await driver.step({
      queue: 'default',
      worker: 'else',
      leaseMs: 1000,
      kinds: ['free'],
      want: 10,
      finished: [],
      idle: false,
    })
    expect(rest.map((one) => one.id)).toEqual([added[1]!.id])
    detach()
  })

  it('settles what was added before it closes, and takes nothing after', async () => {
    const own = createJobs(driver)
    const adding = own.enqueue(free, 1)
    await own.close()
    expect((await adding).outcome).toBe('added')
    if (!isPglite()) expect(await code(own.enqueue(free, 2))).toBe('jobs.closed')
  })

  it('refuses a transaction on a store that has none', async () => {
    expect(await code(createJobs(memory()).enqueue(free, 1, undefined, db))).toBe('jobs.tx_unsupported')
  })
})

describe('definitions', () => {
  it.each([
    [{ kind: '' }],
    [{ kind: 'a"b' }],
    [{ kind: 'k', queue: '' }],
    [{ kind: 'k', maxAttempts: 1.5 }],
    [{ kind: 'k', backoff: { baseMs: 0 } }],
  ])('refuse %j', (spec) => {
    expect(() => defineJob(spec as never)).toThrow(expect.objectContaining({ code: 'jobs.definition_invalid' }))
  })

  it('take schemas of other libraries, and store what those make of the payload', async () => {
    const trimmed = defineJob({
      kind: 'trim',
      schema: {
        '~standard': {
          version: 1,
          vendor: 'test',
          types: undefined as { input: string; output: string } | undefined,
          validate: async (value: unknown) =>
            typeof value === 'string' ? { value: value.trim() } : { issues: [{ message: 'no text', path: ['x'] }] },
        },
      },
    })
    const jobs = createJobs(memory())
    const { id } = await jobs.enqueue(trimmed, '  a ')
    expect((await jobs.get(id!))!.payload).toBe('a')
    expect(await code(jobs.enqueue(trimmed, 5 as never))).toBe('jobs.payload_invalid')
  })

  it('wait a random time in [0, cap] after any number of failures', () => {
    const backoff = { baseMs: 1000, capMs: 60_000 }
    for (const attempt of [1, 2, 10, 64, 1000, Number.MAX_SAFE_INTEGER]) {
      expect(backoffMs(backoff, attempt, () => 0)).toBe(0)
      expect(backoffMs(backoff, attempt, () => 0.999_999)).toBeLessThanOrEqual(60_000)
    }
    expect(backoffMs(backoff, 3, () => 0.5)).toBe(2000)
  })
})

function circular(): object {
  const value: Record<string, unknown> = {}
  value['self'] = value
  return value
}

function nested(depth: number): unknown {
  let value: unknown = 1
  for (let i = 0; i < depth; i++) value = [value]
  return value
}
