import { describe, expect, it } from 'vitest'
import { createContext } from '../../../kernel/context.ts'
import { createMetrics } from '../../../kernel/metrics.ts'
import { createSecrets } from '../../../kernel/secrets.ts'
import { createFakeClock } from '../../../testing/clock.ts'
import type { Answer } from '../answer.ts'
import type { IdempotencyDriver } from '../driver.ts'
import { memory } from '../drivers/memory.ts'
import { leaseLost } from '../events.ts'
import type { KeyedRequest } from '../idempotency.ts'
import { altered, desk } from './setup.ts'

const answer = (text: string, status = 201): Answer => ({ status, headers: ['location', '/1'], body: text })
const request = (over: Partial<KeyedRequest> = {}): KeyedRequest => ({
  tenantId: null,
  principal: 'user:1',
  key: 'key-1',
  fingerprint: 'POST /notes a',
  operation: 'POST /notes',
  context: createContext({ requestId: 'r' }),
  ...over,
})
/** Work that ends when it is told to. */
function slow(result: Answer = answer('done')) {
  const { promise, resolve } = Promise.withResolvers<Answer>()
  let runs = 0
  return {
    work: () => {
      runs++
      return promise
    },
    finish: () => resolve(result),
    get runs() {
      return runs
    },
  }
}
const codeOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'no error',
    (error: { code?: string }) => error.code,
  )
/** Lets promises settle without moving time. */
const settle = (clock: ReturnType<typeof createFakeClock>) => clock.advance(0)

describe('one request sent many times at once', () => {
  it('is carried out once, and all who wait get its answer as soon as it is there', async () => {
    const clock = createFakeClock()
    const service = desk({ driver: memory({ clock }), clock })
    const { work, finish } = slow()
    const all = Array.from({ length: 20 }, () => service.once(request(), work))
    await settle(clock)
    expect(service.waiting).toBe(19)
    finish()
    const outcomes = await Promise.all(all)
    expect(outcomes.filter(({ source }) => source === 'executed')).toHaveLength(1)
    expect(outcomes.filter(({ source }) => source === 'replayed')).toHaveLength(19)
    expect(new Set(outcomes.map((outcome) => outcome.answer.body))).toEqual(new Set(['done']))
    expect([service.waiting, service.running, clock.pending]).toEqual([0, 0, 0])
  })

  it('is answered 409 with Retry-After when the first one takes longer than the wait', async () => {
    const clock = createFakeClock()
    const service = desk({ driver: memory({ clock }), clock })
    const first = slow()
    const done = service.once(request(), first.work)
    await settle(clock)
    const second = codeOf(service.once(request(), first.work))
    await clock.advance(1_001)
    expect(await second).toBe('idempotency.in_progress')
    first.finish()
    await done
    expect(first.runs).toBe(1)
    expect((await service.once(request(), first.work)).source).toBe('replayed')
  })

  it('does not let one key take all places of those who wait', async () => {
    const clock = createFakeClock()
    const service = desk({ driver: memory({ clock }), clock, options: { waiters: 8 } })
    const { work, finish } = slow()
    const all = Array.from({ length: 6 }, () => codeOf(service.once(request(), work)))
    await settle(clock)
    expect(service.waiting).toBe(2)
    const others = ['b', 'c', 'd', 'e'].flatMap((key) =>
      Array.from({ length: 3 }, () => codeOf(service.once(request({ key }), work))),
    )
    await settle(clock)
    expect(service.waiting).toBe(8)
    finish()
    const codes = await Promise.all([...all, ...others])
    expect(codes.filter((code) => code === 'no error')).toHaveLength(5 + 8)
    expect(codes.filter((code) => code === 'idempotency.in_progress')).toHaveLength(18 - 13)
  })

  it('ends the wait of a caller who has gone', async () => {
    const clock = createFakeClock()
    const service = desk({ driver: memory({ clock }), clock })
    const { work, finish } = slow()
    const first = service.once(request(), work)
    await settle(clock)
    const aborter = new AbortController()
    const second = service.once(request({ signal: aborter.signal }), work)
    await settle(clock)
    aborter.abort(new Error('gone'))
    await expect(second).rejects.toThrow('gone')
    expect(service.waiting).toBe(0)
    finish()
    await first
    expect(clock.pending).toBe(0)
  })

  it('is done by a waiter when the first one comes to nothing', async () => {
    const clock = createFakeClock()
    const service = desk({ driver: memory({ clock }), clock })
    const failing = slow(answer('overloaded', 503))
    const first = service.once(request(), failing.work)
    await settle(clock)
    const second = service.once(request(), async () => answer('second try'))
    await settle(clock)
    failing.finish()
    expect((await first).answer.status).toBe(503)
    expect(await second).toMatchObject({ source: 'executed', answer: { body: 'second try' } })
  })
})

describe('what is kept', () => {
  const kinds = [
    [200, true],
    [201, true],
    [204, true],
    [303, true],
    [400, true],
    [402, true],
    [404, true],
    [409, true],
    [410, true],
    [412, true],
    [422, true],
    [401, false],
    [403, false],
    [408, false],
    [423, false],
    [425, false],
    [428, false],
    [429, false],
    [500, false],
    [502, false],
    [503, false],
  ] as const
  it.each(kinds)('an answer of status %i is final: %s', async (status, final) => {
    const clock = createFakeClock()
    const service = desk({ driver: memory({ clock }), clock })
    let runs = 0
    const work = async (): Promise<Answer> => answer(`run ${++runs}`, status)
    await service.once(request(), work)
    const again = await service.once(request(), work)
    expect([runs, again.answer.body]).toEqual(final ? [1, 'run 1'] : [2, 'run 2'])
  })

  it('nothing that invites to come again', async () => {
    const clock = createFakeClock()
    const service = desk({ driver: memory({ clock }), clock })
    let runs = 0
    const work = async (): Promise<Answer> => ({ status: 409, headers: ['retry-after', '1'], body: `${++runs}` })
    await service.once(request(), work)
    await service.once(request(), work)
    expect(runs).toBe(2)
  })

  it('never cookies nor what belongs to one exchange, and the rest byte for byte', async () => {
    const clock = createFakeClock()
    const service = desk({ driver: memory({ clock }), clock })
    const headers = ['location', '/1', 'set-cookie', 'a=1', 'etag', '"1"', 'ratelimit', '"a";r=1', 'x-own', 'ü']
    for (const body of ['{"a":"ünï"}', Buffer.from([0, 255, 10]), undefined]) {
      const key = String(body)
      await service.once(request({ key }), async () => ({ status: 201, headers, body }))
      const again = await service.once(request({ key }), () => expect.fail('ran twice'))
      expect(again.answer).toEqual({ status: 201, headers: ['location', '/1', 'etag', '"1"', 'x-own', 'ü'], body })
    }
  })

  it('what is too large is not carried out again either', async () => {
    const clock = createFakeClock()
    const service = desk({ driver: memory({ clock }), clock, options: { answerBytes: 1_000 } })
    const first = await service.once(request(), async () => answer('x'.repeat(1_001)))
    expect(first).toMatchObject({ source: 'executed', kept: false })
    const again = service.once(request(), () => expect.fail('ran twice'))
    await expect(again).rejects.toMatchObject({ code: 'idempotency.answer_gone', meta: { reason: 'too_large' } })
  })

  it('lies sealed in the store: nothing of scope, key, request or answer can be read or moved', async () => {
    const clock = createFakeClock()
    const inner = memory({ clock })
    const seen: string[] = []
    const spy = altered(inner, {
      claim: (id, claim) => {
        seen.push(id, claim.request)
        return inner.claim(id, claim)
      },
      settle: (id, token, stored, ttlMs) => {
        seen.push(stored)
        return inner.settle(id, token, stored, ttlMs)
      },
    })
    const service = desk({ driver: spy, clock })
    await service.once(request({ tenantId: 'tenant-x' }), async () => answer('access_token: hush'))
    const all = seen.join(' ')
    for (const word of ['hush', 'location', 'key-1', 'user:1', 'tenant-x', 'POST /notes a'])
      for (const form of [word, Buffer.from(word).toString('base64url'), Buffer.from(word).toString('hex')])
        expect(all).not.toContain(form)
    // What belongs to another id cannot be opened under this one.
    const moved = altered(inner, {
      claim: async () => ({ state: 'settled', request: seen[1]!, answer: seen[2]!, leaseLeftMs: 0 }),
    })
    const other = desk({ driver: moved, clock }).once(request({ tenantId: 'tenant-y' }), () => expect.fail('ran'))
    await expect(other).rejects.toMatchObject({ code: 'idempotency.answer_gone', meta: { reason: 'unreadable' } })
  })

  it('can be opened after the secret was rotated, and is neither shown nor done again when it is gone', async () => {
    const clock = createFakeClock()
    const driver = memory({ clock })
    const [first, second] = ['first-secret-for-the-tests-0123456789', 'second-secret-for-the-tests-987654']
    await desk({ driver, clock, secrets: createSecrets({ current: first }) }).once(request(), async () => answer('a'))
    const rotated = createSecrets({ current: second, previous: [first] })
    expect((await desk({ driver, clock, secrets: rotated }).once(request(), async () => answer('b'))).answer.body).toBe(
      'a',
    )
    const without = desk({ driver, clock, secrets: createSecrets({ current: second }) })
    expect(await codeOf(without.once(request(), () => expect.fail('ran')))).toBe('idempotency.answer_gone')
  })
})

describe('whose key it is', () => {
  it('is told apart by tenant, by caller and by key', async () => {
    const clock = createFakeClock()
    const service = desk({ driver: memory({ clock }), clock })
    const scopes: Partial<KeyedRequest>[] = [
      {},
      { tenantId: 'a' },
      { tenantId: 'b' },
      { principal: 'user:2' },
      { principal: 'service:1' },
      { key: 'key-2' },
      { principal: null },
      { principal: null, tenantId: 'a' },
    ]
    for (const [n, scope] of scopes.entries()) {
      const { source, answer: own } = await service.once(request(scope), async () => answer(`answer ${n}`))
      expect([source, own.body]).toEqual(['executed', `answer ${n}`])
    }
    for (const [n, scope] of scopes.entries())
      expect((await service.once(request(scope), () => expect.fail('ran'))).answer.body).toBe(`answer ${n}`)
  })

  it('is refused for another request, while the first runs, after it and after its process died', async () => {
    const clock = createFakeClock()
    const driver = memory({ clock })
    const service = desk({ driver, clock })
    const { work, finish } = slow()
    const other = request({ fingerprint: 'POST /notes b' })
    const first = service.once(request(), work)
    await settle(clock)
    expect(await codeOf(service.once(other, () => expect.fail('ran')))).toBe('idempotency.key_reused')
    finish()
    await first
    expect(await codeOf(service.once(other, () => expect.fail('ran')))).toBe('idempotency.key_reused')
    const dead = desk({
      driver: altered(driver, { extend: async () => true, settle: () => new Promise(() => {}) }),
      clock,
    })
    void dead.once(request({ key: 'dead' }), async () => answer('never stored'))
    await settle(clock)
    await clock.advance(31_000)
    expect(await codeOf(service.once({ ...other, key: 'dead' }, () => expect.fail('ran')))).toBe(
      'idempotency.key_reused',
    )
  })

  it('belongs, for strangers, to one request alone: another body is another operation', async () => {
    const clock = createFakeClock()
    const service = desk({ driver: memory({ clock }), clock })
    const stranger = (fingerprint: string) => request({ principal: null, fingerprint })
    await service.once(stranger('a'), async () => answer('a'))
    expect((await service.once(stranger('b'), async () => answer('b'))).answer.body).toBe('b')
  })
})

describe('a process that dies or hangs', () => {
  it('leaves its work to another try once its lease is over, and not before', async () => {
    const clock = createFakeClock()
    const driver = memory({ clock })
    // Its heart has stopped beating and its answer never arrives.
    const dying = desk({
      driver: altered(driver, { extend: async () => true, settle: () => new Promise(() => {}) }),
      clock,
    })
    void dying.once(request(), async () => answer('never stored'))
    await settle(clock)
    const heir = desk({ driver, clock, options: { waitMs: 0 } })
    await clock.advance(29_000)
    expect(await codeOf(heir.once(request(), () => expect.fail('ran')))).toBe('idempotency.in_progress')
    await clock.advance(2_000)
    expect(await heir.once(request(), async () => answer('heir'))).toMatchObject({ source: 'executed' })
    expect((await heir.once(request(), () => expect.fail('ran'))).answer.body).toBe('heir')
  })

  it('keeps its work as long as its heart beats, however long that is', async () => {
    const clock = createFakeClock()
    const driver = memory({ clock })
    const service = desk({ driver, clock, options: { waitMs: 0 } })
    const { work, finish } = slow()
    const first = service.once(request(), work)
    await clock.advance(10 * 60_000)
    expect(await codeOf(service.once(request(), () => expect.fail('ran')))).toBe('idempotency.in_progress')
    finish()
    await first
    expect((await service.once(request(), work)).source).toBe('replayed')
  })

  it('has lost nothing when a heartbeat comes behind its end', async () => {
    const clock = createFakeClock()
    const inner = memory({ clock })
    const late = Promise.withResolvers<void>()
    const driver = altered(inner, { extend: (...args) => late.promise.then(() => inner.extend(...args)) })
    const lost: unknown[] = []
    const hear = (event: unknown): void => void lost.push(event)
    leaseLost.subscribe(hear)
    const { work, finish } = slow(answer('overloaded', 503))
    const done = desk({ driver, clock }).once(request(), work)
    await clock.advance(10_001)
    finish()
    await done
    late.resolve()
    await settle(clock)
    leaseLost.unsubscribe(hear)
    expect(lost).toEqual([])
  })

  it('cannot store its answer once it was overtaken', async () => {
    const clock = createFakeClock()
    const driver = memory({ clock })
    // Hung: no heartbeat gets through.
    const hung = desk({ driver: altered(driver, { extend: () => Promise.reject(new Error('hung')) }), clock })
    const { work, finish } = slow(answer('late'))
    const late = hung.once(request(), work)
    await clock.advance(31_000)
    const heir = desk({ driver, clock })
    await heir.once(request(), async () => answer('heir'))
    finish()
    expect(await late).toMatchObject({ source: 'executed', kept: false })
    expect((await heir.once(request(), () => expect.fail('ran'))).answer.body).toBe('heir')
  })
})

describe('a store that is away', () => {
  const away = (clock: ReturnType<typeof createFakeClock>): IdempotencyDriver =>
    altered(memory({ clock }), { claim: () => Promise.reject(new Error('connection refused')) })

  it('closed: nothing is carried out, and the caller hears when to come again', async () => {
    const clock = createFakeClock()
    const metrics = createMetrics()
    const service = desk({ driver: away(clock), clock, metrics })
    const refused = service.once(request(), () => expect.fail('ran'))
    await expect(refused).rejects.toMatchObject({ code: 'idempotency.unavailable', status: 503, retryAfterMs: 1_000 })
    expect(metrics.render()).toContain('forge_idempotency_requests_total{result="unavailable"} 1')
  })

  it('open: the request is carried out unprotected, which is said and counted', async () => {
    const clock = createFakeClock()
    const metrics = createMetrics()
    const service = desk({ driver: away(clock), clock, metrics, options: { onLoss: 'open' } })
    const outcome = await service.once(request(), async () => answer('a'))
    expect(outcome).toMatchObject({ source: 'unprotected', kept: false })
    expect(metrics.render()).toContain('forge_idempotency_requests_total{result="unprotected"} 1')
  })

  it('when it fails under the answer: the answer is given, stored by a later attempt, or said not to be kept', async () => {
    for (const [failures, kept] of [
      [1, true],
      [99, false],
    ] as const) {
      const clock = createFakeClock()
      const inner = memory({ clock })
      let left: number = failures
      const driver = altered(inner, {
        settle: async (...args) => {
          if (left-- > 0) throw new Error('connection refused')
          return inner.settle(...args)
        },
      })
      const outcome = desk({ driver, clock }).once(request(), async () => answer('a'))
      await clock.advance(5_000)
      expect(await outcome).toMatchObject({ answer: { body: 'a' }, source: 'executed', kept })
    }
  })
})
