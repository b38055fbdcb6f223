import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createMetrics } from '../../../kernel/metrics.ts'
import { createFakeClock } from '../../../testing/clock.ts'
import type { FakeClock } from '../../../testing/clock.ts'
import { createRatelimit } from '../create-ratelimit.ts'
import type { Decision, RatelimitDriver } from '../driver.ts'
import { memory } from '../drivers/memory.ts'
import { storeChannel } from '../events.ts'
import type { LossPolicy, Ratelimit, Slot } from '../ratelimit.ts'

type Mood = 'well' | 'silent' | 'broken' | 'throws'

/** A store over memory that answers later, or as its mood is. */
class Moody {
  mood: Mood = 'well'
  asked = 0
  readonly #answers: (() => void)[] = []
  readonly driver: RatelimitDriver

  constructor(clock: FakeClock) {
    const store = memory({ clock })
    const ask = <T>(answer: () => T): Promise<T> => {
      this.asked++
      if (this.mood === 'throws') throw new Error('thrown')
      if (this.mood === 'broken') return Promise.reject(new Error('broken'))
      if (this.mood === 'well') return Promise.resolve(answer())
      return new Promise((resolve) => this.#answers.push(() => resolve(answer())))
    }
    this.driver = {
      name: 'moody',
      capabilities: { shared: true, synchronous: false },
      take: (rule, key, cost) => ask(() => store.take(rule, key, cost) as Decision),
      peek: (rule, key) => ask(() => store.peek(rule, key) as Decision),
      reset: (rule, key) => ask(() => store.reset(rule, key) as undefined),
      acquire: (rule, key, holder) => ask(() => store.acquire(rule, key, holder) as Decision),
      renew: (rule, places) => ask(() => store.renew(rule, places) as boolean[]),
      release: (rule, key, holder) => ask(() => store.release(rule, key, holder) as undefined),
      close: () => {},
    }
  }

  /** What was asked in silence is answered after all. */
  speak(): void {
    for (const answer of this.#answers.splice(0)) answer()
  }
}

let clock: FakeClock
let store: Moody
let limits: Ratelimit
let told: unknown[]
const metrics = createMetrics()
const unhandled: unknown[] = []
const note = (reason: unknown): void => void unhandled.push(reason)
const listen = (event: unknown): void => void told.push(event)

beforeEach(() => {
  clock = createFakeClock()
  store = new Moody(clock)
  told = []
  limits = createRatelimit(store.driver, { clock, metrics, replicas: 4 })
  storeChannel.subscribe(listen)
  process.on('unhandledRejection', note)
})
afterEach(async () => {
  await limits.close()
  storeChannel.unsubscribe(listen)
  process.off('unhandledRejection', note)
  if (unhandled.length > 0) throw new AggregateError(unhandled.splice(0), 'rejections that nobody handled')
})

const declare = (whenLost: LossPolicy, limit = 100) =>
  limits.limit({ name: `when-${whenLost}`, limit, window: '1m', whenLost })

describe('a store that does not answer', () => {
  it('costs a call the deadline, and the next ones nothing', async () => {
    const limit = declare('closed')
    store.mood = 'silent'
    let settled: Decision | undefined
    void Promise.resolve(limit.take('ann')).then((decision) => (settled = decision))
    await clock.advance(39)
    expect(settled).toBeUndefined()
    await clock.advance(1)
    expect(settled).toMatchObject({ allowed: false, lost: true, remaining: 0, retryAfterMs: 1000 })
    const before = store.asked
    for (let call = 0; call < 1000; call++) expect(limit.take('ann')).not.toBeInstanceOf(Promise)
    expect(store.asked).toBe(before)
    expect(limits.lost).toBe(true)
  })

  it('is tried again by one call each half second, which does not wait for it', async () => {
    const limit = declare('open')
    store.mood = 'broken'
    await limit.take('ann')
    await clock.advance(500)
    const before = store.asked
    for (let call = 0; call < 100; call++) expect(limit.take('ann')).toMatchObject({ allowed: true, lost: true })
    expect(store.asked).toBe(before + 1)
    await clock.advance(0)
    expect(limits.lost).toBe(true)
    store.mood = 'silent'
    await clock.advance(500)
    for (let call = 0; call < 100; call++) expect(limit.take('ann')).toMatchObject({ allowed: true, lost: true })
    expect(store.asked).toBe(before + 2)
    await clock.advance(40 + 500)
    store.mood = 'well'
    expect(limit.take('ann')).toMatchObject({ lost: true })
    await clock.advance(0)
    expect(limits.lost).toBe(false)
    expect(await limit.take('ann')).toMatchObject({ allowed: true, lost: false })
    expect(told).toMatchObject([{ state: 'lost', driver: 'moody' }, { state: 'restored' }])
  })

  it('is no reason to fail, however it fails', async () => {
    const limit = declare('open')
    for (const mood of ['broken', 'throws', 'silent'] as const) {
      store.mood = mood
      const answer = limit.take('ann')
      await clock.advance(40)
      expect(await answer).toMatchObject({ allowed: true, lost: true, remaining: 100, retryAfterMs: 0 })
      store.mood = 'well'
      await clock.advance(1000)
      void limit.take('ann')
      await clock.advance(0)
      expect(limits.lost).toBe(false)
    }
    store.speak()
  })

  it('leaves each process its share where the policy is local', async () => {
    const limit = declare('local')
    store.mood = 'broken'
    const decisions: Decision[] = []
    for (let call = 0; call < 60; call++) decisions.push(await limit.take('ann'))
    expect(decisions.filter((one) => one.allowed)).toHaveLength(25)
    expect(decisions.at(-1)).toMatchObject({ allowed: false, lost: true, limit: 100 })
    expect(await limit.peek('ann')).toMatchObject({ allowed: false, lost: true })
    // A cost beyond the share is not refused for ever: it takes all of it.
    expect(await limit.take('bob', { cost: 80 })).toMatchObject({ allowed: true, remaining: 0 })
  })

  it('is counted by limit and policy', async () => {
    store.mood = 'broken'
    for (const policy of ['open', 'closed', 'local'] as const) await declare(policy).take('nobody')
    const text = metrics.render()
    for (const policy of ['open', 'closed', 'local']) {
      expect(text).toMatch(
        new RegExp(`forge_ratelimit_lost_total\\{limit="when-${policy}",policy="${policy}"\\} [1-9]`),
      )
    }
  })

  it('changes nothing by an answer that comes too late', async () => {
    const limit = declare('closed')
    store.mood = 'silent'
    const answer = limit.take('ann')
    await clock.advance(40)
    store.speak()
    expect(await answer).toMatchObject({ allowed: false, lost: true })
    await clock.advance(0)
    expect(limits.lost).toBe(true)
  })

  it('refuses a reset, which nothing else could do', async () => {
    const limit = declare('open')
    store.mood = 'broken'
    await expect(limit.reset('ann')).rejects.toMatchObject({ code: 'ratelimit.unavailable', status: 503 })
  })
})

describe('places', () => {
  const acquire = async (whenLost: LossPolicy = 'local'): Promise<Slot> =>
    limits.concurrency({ name: `places-${whenLost}`, limit: 8, lease: '30s', whenLost }).acquire('ann')

  it('are held for as long as their holder lives, and free a lease after it died', async () => {
    const places = limits.concurrency({ name: 'held', limit: 1, lease: '30s' })
    const first = await places.acquire('ann')
    await clock.advance(300_000)
    expect((await places.acquire('ann')).allowed).toBe(false)
    first.release()
    first.release()
    await clock.advance(0)
    expect((await places.acquire('ann')).allowed).toBe(true)
    // The process dies: nothing renews any more.
    store.mood = 'silent'
    await clock.advance(30_000)
    store.mood = 'well'
    store.speak()
    const other = createRatelimit(store.driver, { clock }).concurrency({ name: 'held', limit: 1, lease: '30s' })
    expect((await other.acquire('ann')).allowed).toBe(true)
  })

  it('are taken again when the store has forgotten them', async () => {
    const places = limits.concurrency({ name: 'forgotten', limit: 1, lease: '30s' })
    await places.acquire('ann')
    await store.driver.renew(places.rule, [])
    const empty = new Moody(clock)
    Object.assign(store.driver, { ...empty.driver })
    await clock.advance(10_000)
    expect((await places.acquire('ann')).allowed).toBe(false)
  })

  it('follow the policy while the store is away', async () => {
    store.mood = 'broken'
    expect(await acquire('open')).toMatchObject({ allowed: true, lost: true })
    expect(await acquire('closed')).toMatchObject({ allowed: false, lost: true })
    // Two of eight are the share of one of four processes.
    const slots = [await acquire(), await acquire(), await acquire()]
    expect(slots.map((slot) => slot.allowed)).toEqual([true, true, false])
    slots[0]!.release()
    expect(await acquire()).toMatchObject({ allowed: true })
  })

  it('that come too late are given back', async () => {
    const places = limits.concurrency({ name: 'late', limit: 1, lease: '30s', whenLost: 'closed' })
    store.mood = 'silent'
    const answer = places.acquire('ann')
    await clock.advance(40)
    expect(await answer).toMatchObject({ allowed: false, lost: true })
    store.mood = 'well'
    store.speak()
    await clock.advance(1000)
    void places.acquire('bob')
    await clock.advance(0)
    expect((await places.acquire('ann')).allowed).toBe(true)
  })
})
