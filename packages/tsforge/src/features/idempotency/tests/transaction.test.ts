import { afterAll, beforeAll, expect, it } from 'vitest'
import { createContext, runWithContext } from '../../../kernel/context.ts'
import { createFakeClock } from '../../../testing/clock.ts'
import { testDb } from '../../../testing/db.ts'
import type { TestDb } from '../../../testing/db.ts'
import type { Answer } from '../answer.ts'
import type { IdempotencyDriver } from '../driver.ts'
import { postgres } from '../drivers/postgres.ts'
import type { KeyedRequest, RunningIdempotency } from '../idempotency.ts'
import { desk, migrations } from './setup.ts'

let db: TestDb
beforeAll(async () => {
  db = await testDb({ migrations })
  await db.query('create table effects (key text not null)')
})
afterAll(async () => {
  await db[Symbol.asyncDispose]()
})

const render = (value: unknown): Answer => ({ status: 201, headers: ['location', '/1'], body: JSON.stringify(value) })
const request = (key: string): KeyedRequest => ({
  tenantId: null,
  principal: 'user:1',
  key,
  fingerprint: 'a',
  operation: 'POST /effects',
  context: createContext({ requestId: 'r' }),
  render,
})
/** Sends `key` as a request would: its work runs in the request's context. */
const send = (service: RunningIdempotency, key: string, work: () => Promise<Answer>) => {
  const sent = request(key)
  return service.once(sent, () => runWithContext(sent.context, work))
}
const effects = async (key: string): Promise<number> =>
  (await db.query<{ n: number }>('select count(*) as n from effects where key = $1', [key])).rows[0]!.n
const effect = 'insert into effects values ($1)'
/** The lease of every key runs out on the server. */
const expireLeases = () =>
  db.query(`update forge_idempotency_keys set lease_until = lease_until - interval '1 hour'`, [])

/** A process that is killed as soon as its transaction has committed: nothing of it reaches the store any more. */
const dying = (driver: IdempotencyDriver): IdempotencyDriver => ({
  ...driver,
  settle: (id, token, answer, ttlMs, tx) =>
    tx === undefined ? new Promise(() => {}) : driver.settle(id, token, answer, ttlMs, tx),
})

it('commits the answer with the effect: who dies right after the commit has lost nothing', async () => {
  const clock = createFakeClock()
  const doomed = desk({ driver: dying(postgres(db)), clock })
  const committed = Promise.withResolvers<void>()
  void send(doomed, 'with', async () => {
    await db.tx(async (tx) => {
      await tx.query(effect, ['with'])
      await doomed.inTransaction(tx, { id: 1 })
    })
    committed.resolve()
    return new Promise(() => {})
  })
  await committed.promise
  await expireLeases()
  const again = await send(desk({ driver: postgres(db), clock }), 'with', () => expect.fail('ran twice'))
  expect(again).toMatchObject({ source: 'replayed', answer: render({ id: 1 }) })
  expect(await effects('with')).toBe(1)
})

it('commits at least the knowledge of the effect: without its answer nobody carries it out again', async () => {
  const clock = createFakeClock()
  const doomed = desk({ driver: dying(postgres(db)), clock, options: { waitMs: 0 } })
  const committed = Promise.withResolvers<void>()
  void send(doomed, 'without', async () => {
    await db.tx(async (tx) => {
      await tx.query(effect, ['without'])
      await doomed.inTransaction(tx)
    })
    committed.resolve()
    return render({})
  })
  await committed.promise
  const heir = desk({ driver: postgres(db), clock, options: { waitMs: 0 } })
  const ask = () => send(heir, 'without', () => expect.fail('ran twice'))
  // As long as its lease lasts the answer may still come.
  await expect(ask()).rejects.toMatchObject({ code: 'idempotency.in_progress' })
  await expireLeases()
  await expect(ask()).rejects.toMatchObject({ code: 'idempotency.answer_gone', meta: { reason: 'lost' } })
  expect(await effects('without')).toBe(1)
})

it('stores what was answered after all, also when the handler committed another value or none', async () => {
  const service = desk({ driver: postgres(db), clock: createFakeClock() })
  for (const value of [undefined, { id: 'early' }, { id: 'final' }]) {
    const key = `stored ${JSON.stringify(value)}`
    await send(service, key, async () => {
      await db.tx((tx) => service.inTransaction(tx, value))
      return render({ id: 'final' })
    })
    expect((await send(service, key, () => expect.fail('ran'))).answer).toEqual(render({ id: 'final' }))
  }
})

it('forgets the record with the effect when the transaction is rolled back, and runs again', async () => {
  const service = desk({ driver: postgres(db), clock: createFakeClock() })
  await send(service, 'undone', async () => {
    const undone = db.tx(async (tx) => {
      await tx.query(effect, ['undone'])
      await service.inTransaction(tx, { id: 1 })
      throw new Error('undone')
    })
    await expect(undone).rejects.toThrow('undone')
    return { status: 500, headers: [], body: 'failed' }
  })
  expect(await effects('undone')).toBe(0)
  const again = await send(service, 'undone', async () => {
    await db.tx(async (tx) => {
      await tx.query(effect, ['undone'])
      await service.inTransaction(tx, { id: 2 })
    })
    return render({ id: 2 })
  })
  expect(again.source).toBe('executed')
  expect(await effects('undone')).toBe(1)
})

it('keeps what has committed although the handler failed afterwards', async () => {
  const service = desk({ driver: postgres(db), clock: createFakeClock() })
  await send(service, 'failed after', async () => {
    await db.tx(async (tx) => {
      await tx.query(effect, ['failed after'])
      await service.inTransaction(tx, { id: 1 })
    })
    return { status: 500, headers: [], body: 'failed' }
  })
  const again = await send(service, 'failed after', () => expect.fail('ran twice'))
  expect(again.answer).toEqual(render({ id: 1 }))
})

it('rolls back a holder that was overtaken while it hung: one effect', async () => {
  const clock = createFakeClock()
  const hung = desk({ driver: { ...postgres(db), extend: () => Promise.reject(new Error('hung')) }, clock })
  const heir = desk({ driver: postgres(db), clock })
  const reached = Promise.withResolvers<void>()
  const goOn = Promise.withResolvers<void>()
  const insert = (service: RunningIdempotency, id: string) =>
    db.tx(async (tx) => {
      await tx.query(effect, ['overtaken'])
      await service.inTransaction(tx, { id })
    })
  const late = send(hung, 'overtaken', async () => {
    reached.resolve()
    await goOn.promise
    await insert(hung, 'late')
    return render({ id: 'late' })
  })
  await reached.promise
  await expireLeases()
  await send(heir, 'overtaken', async () => {
    await insert(heir, 'heir')
    return render({ id: 'heir' })
  })
  goOn.resolve()
  await expect(late).rejects.toMatchObject({ code: 'idempotency.lease_lost', status: 409, retryAfterMs: 1_000 })
  expect(await effects('overtaken')).toBe(1)
  expect((await send(heir, 'overtaken', () => expect.fail('ran'))).answer).toEqual(render({ id: 'heir' }))
})

it('does nothing outside of a request with a key', async () => {
  const service = desk({ driver: postgres(db), clock: createFakeClock() })
  await db.tx((tx) => service.inTransaction(tx, { id: 1 }))
  expect(service.keyFor('payment')).toBeUndefined()
})

it('makes keys for outside services: the same in every try, another for each purpose and request', async () => {
  const service = desk({ driver: postgres(db), clock: createFakeClock() })
  const seen: (string | undefined)[] = []
  const work = async (): Promise<Answer> => {
    seen.push(service.keyFor('charge'), service.keyFor('mail'))
    return { status: 503, headers: [], body: undefined }
  }
  await send(service, 'outside', work)
  await send(service, 'outside', work)
  await send(service, 'outside 2', work)
  const [charge, mail, chargeAgain, mailAgain, otherCharge] = seen
  expect([chargeAgain, mailAgain]).toEqual([charge, mail])
  expect(new Set([charge, mail, otherCharge]).size).toBe(3)
  expect(charge).toMatch(/^[\w-]{43}$/)
})

it('lets duplicates wait without holding a connection each', async () => {
  if (!db.capabilities.concurrent) return
  const clock = createFakeClock()
  const service = desk({ driver: postgres(db), clock })
  const inTx = Promise.withResolvers<void>()
  const commit = Promise.withResolvers<void>()
  const first = send(service, 'waiting', async () => {
    await db.tx(async (tx) => {
      await tx.query(effect, ['waiting'])
      await service.inTransaction(tx, { id: 1 })
      inTx.resolve()
      await commit.promise
    })
    return render({ id: 1 })
  })
  await inTx.promise
  // More than the pool has connections: one that waited for the row would hold its own.
  const others = Array.from({ length: 30 }, () => send(service, 'waiting', () => expect.fail('ran twice')))
  while (service.waiting < 30) await db.query('select 1', [])
  commit.resolve()
  await first
  const ended = Promise.allSettled(others)
  await clock.advance(1_000)
  const answers = (await ended).flatMap((each) => (each.status === 'fulfilled' ? [each.value.answer] : []))
  expect(answers.length).toBeGreaterThan(0)
  for (const answer of answers) expect(answer).toEqual(render({ id: 1 }))
  expect(await effects('waiting')).toBe(1)
})

it('says also of an answer in the transaction that it was too large to keep', async () => {
  const service = desk({ driver: postgres(db), clock: createFakeClock(), options: { answerBytes: 100 } })
  const large = { text: 'x'.repeat(200) }
  const first = await send(service, 'large', async () => {
    await db.tx((tx) => service.inTransaction(tx, large))
    return render(large)
  })
  expect(first).toMatchObject({ source: 'executed', kept: false })
  const again = send(service, 'large', () => expect.fail('ran twice'))
  await expect(again).rejects.toMatchObject({ code: 'idempotency.answer_gone', meta: { reason: 'too_large' } })
})
