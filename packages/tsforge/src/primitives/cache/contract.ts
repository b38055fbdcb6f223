import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Clock } from '../../kernel/clock.ts'
import type { RootCache } from './cache.ts'
import { begunLoad, processQuestions } from './contract-processes.ts'
import { createCache } from './create-cache.ts'
import type { CacheDriver, CacheEntry } from './driver.ts'
import { failureChannel } from './events.ts'
import type { CacheFailureEvent } from './events.ts'

export interface CacheContract {
  readonly name: string
  /** A new driver each time. When it is shared, all of them are over the same store, as in several processes. */
  create(): CacheDriver | Promise<CacheDriver>
  readonly clock: Clock
  /** Lets time pass: moves a fake clock, or waits when the store has a clock of its own. */
  pass(ms: number): Promise<void>
}

/** The exam of a cache driver, and of the facade over it. Call it in a vitest file of your own. */
export function cacheContract({ name, create, clock, pass }: CacheContract): void {
  describe(`cache contract: ${name}`, () => {
    let driver: CacheDriver
    let cache: RootCache
    let namespace: string
    let prefix: string

    const failures: string[] = []
    const onFailure = (event: unknown): void => void failures.push((event as CacheFailureEvent).operation)

    const open = async (over: CacheDriver, settings = {}): Promise<RootCache> => {
      const opened = createCache(over, { clock, namespace: 'contract', jitter: 0, ...settings })
      await opened.ready()
      return opened
    }
    beforeAll(async () => {
      failureChannel.subscribe(onFailure)
      driver = await create()
      cache = await open(driver)
    })
    afterAll(async () => {
      await cache.close()
      failureChannel.unsubscribe(onFailure)
    })
    beforeEach(() => {
      namespace = `contract-${randomUUID()}`
      prefix = `${namespace}::`
    })

    const entry = (value: unknown, more: Partial<CacheEntry> = {}): CacheEntry => {
      return { value, freshMs: 60_000, staleMs: 0, eagerMs: 0, tags: [], ...more }
    }
    const store = (key: string, value: unknown, more?: Partial<CacheEntry>, at = prefix): unknown =>
      driver.set(at, key, entry(value, more), { loadedForMs: 0 })
    const value = async (key: string, at = prefix): Promise<unknown> => (await driver.get(at, key))?.value
    /** Does it with new keys until it was done `withinMs`: a machine that stood still meanwhile has shown nothing. */
    const within = async <T>(withinMs: number, work: (key: string) => Promise<T>): Promise<T> => {
      for (;;) {
        const began = clock.monotonic()
        const result = await work(randomUUID())
        if (clock.monotonic() - began < withinMs) return result
      }
    }
    /** What a call comes to, thrown or rejected. */
    const outcome = async (call: () => unknown): Promise<unknown> => call()

    describe('entries', () => {
      it('gives undefined for what was never stored', async () => {
        expect(await driver.get(prefix, 'nothing')).toBeUndefined()
      })

      it.each([
        ['text', 'Grüße, 世界 \u{1f600}'],
        ['an empty text', ''],
        ['a number', 1.5],
        ['a whole number', -42],
        ['true', true],
        ['false', false],
        ['null', null],
        ['a list', [1, 'two', null, [3]]],
        ['an object', { a: { b: ['c'] }, d: 'x'.repeat(1000) }],
        ['dates', { at: new Date(1_700_000_000_000) }],
        ['a bigint', 2n ** 80n],
        ['maps and sets', { map: new Map([['a', new Set([1])]]) }],
        ['bytes', Buffer.from([0, 255, 13, 10])],
        ['not a number', Number.NaN],
        ['undefined within', { a: undefined, b: [undefined] }],
      ])('gives back %s as it was', async (_, stored) => {
        await store('key', stored)
        expect(await value('key')).toStrictEqual(stored)
      })

      it('gives back large values', async () => {
        const large = { text: 'ä'.repeat(200_000) }
        await store('large', large)
        expect(await value('large')).toStrictEqual(large)
      })

      it('keeps the last of several writes', async () => {
        await store('key', 'old', { tags: ['t'], staleMs: 1000 })
        await store('key', 'new')
        expect(await driver.get(prefix, 'key')).toMatchObject({ value: 'new', tags: [], staleMs: 0 })
      })

      it.each(['a b', 'ключ', 'a:b::c', 'x*?[a-z]', '{tag}', '"\'\\;--', '%2e%00', '__proto__', 'k'.repeat(512)])(
        'takes the key %j like every other',
        async (key) => {
          await store(key, key)
          await store(`${key.slice(0, 500)}!`, 'other')
          expect(await value(key)).toBe(key)
          expect(await driver.delete(prefix, [key])).toBe(1)
          expect(await value(key)).toBeUndefined()
        },
      )

      it('keeps prefixes apart', async () => {
        await store('key', 'shared')
        await store('key', 'of a tenant', {}, `${namespace}:t1:`)
        await store('t1:key', 'named like one')
        expect(await Promise.all([value('key'), value('key', `${namespace}:t1:`), value('t1:key')])).toStrictEqual([
          'shared',
          'of a tenant',
          'named like one',
        ])
      })

      it('tells how many deleted keys were there', async () => {
        await store('a', 1)
        await store('b', 2)
        expect(await driver.delete(prefix, ['a', 'b', 'c'])).toBe(2)
        expect(await driver.delete(prefix, ['a', 'b', 'c'])).toBe(0)
      })

      it('reads many keys in their order, with gaps', async () => {
        await store('a', 1)
        await store('c', { three: 3 })
        const found = await driver.getMany(prefix, ['c', 'b', 'a', 'c'])
        expect(found.map((each) => each?.value)).toStrictEqual([{ three: 3 }, undefined, 1, { three: 3 }])
        expect(await driver.getMany(prefix, [])).toStrictEqual([])
      })
    })

    describe('time', () => {
      it('tells how much longer an entry is fresh', async () => {
        await store('key', 'v', { freshMs: 600_000, staleMs: 5000, eagerMs: 2000 })
        const found = await driver.get(prefix, 'key')
        expect(found).toMatchObject({ staleMs: 5000, eagerMs: 2000 })
        expect(found!.freshMs).toBeLessThanOrEqual(600_000)
        expect(found!.freshMs).toBeGreaterThan(500_000)
      })

      it('gives an entry as stale after its fresh time, and not at all after that', async () => {
        const [key, found, many] = await within(2100, async (at) => {
          await store(at, 'v', { freshMs: 100, staleMs: 2000 })
          await store(`${at} short`, 'v', { freshMs: 100 })
          await pass(150)
          return [at, await driver.get(prefix, at), await driver.getMany(prefix, [at, `${at} short`])]
        })
        expect(found?.value).toBe('v')
        expect(found?.freshMs).toBeLessThanOrEqual(0)
        expect(await value(`${key} short`)).toBeUndefined()
        expect(many.map((each) => each?.value)).toStrictEqual(['v', undefined])
        await pass(2000)
        expect(await value(key)).toBeUndefined()
      })
    })

    describe('tags', () => {
      it('makes entries with an invalidated tag invisible, and no others', async () => {
        await store('a', 1, { tags: ['red'] })
        await store('b', 2, { tags: ['blue', 'red'] })
        await store('c', 3, { tags: ['blue'] })
        await store('d', 4)
        await store('a', 5, { tags: ['red'] }, `${namespace}:t1:`)
        expect(await value('b')).toBe(2)
        await driver.invalidateTags(prefix, ['red', 'never used'])
        const found = await driver.getMany(prefix, ['a', 'b', 'c', 'd'])
        expect(found.map((each) => each?.value)).toStrictEqual([undefined, undefined, 3, 4])
        expect(await value('a')).toBeUndefined()
        expect(await value('c')).toBe(3)
        expect(await value('a', `${namespace}:t1:`)).toBe(5)
      })

      it('shows what was stored after the invalidation', async () => {
        await store('a', 'old', { tags: ['t'] })
        await driver.invalidateTags(prefix, ['t'])
        // A store that measures in milliseconds must be able to tell before from after.
        await pass(5)
        await store('a', 'new', { tags: ['t'] })
        expect(await driver.get(prefix, 'a')).toMatchObject({ value: 'new', tags: ['t'] })
        await driver.invalidateTags(prefix, ['t'])
        expect(await value('a')).toBeUndefined()
      })

      it('does not bind an entry to the tags of the one before', async () => {
        await store('a', 'old', { tags: ['t'] })
        await store('a', 'new')
        await driver.invalidateTags(prefix, ['t'])
        expect(await value('a')).toBe('new')
      })

      it('keeps nothing that was loaded before one of its tags was invalidated', async () => {
        const tagged = cache.namespace(namespace)
        const { loading, finish } = await begunLoad(tagged, 'a', 'told late')
        await pass(5)
        await tagged.invalidateTags(['told late'])
        finish('old')
        expect(await loading).toBe('old')
        expect(await tagged.get('a')).toBeUndefined()
      })
    })

    describe('counters', () => {
      it('counts every step of many at once', async () => {
        const sums = await Promise.all(
          Array.from({ length: 50 }, () => outcome(() => driver.increment(prefix, 'n', 2, 60_000))),
        )
        expect(Math.max(...(sums as number[]))).toBe(100)
        expect(new Set(sums).size).toBe(50)
        expect(await driver.increment(prefix, 'n', -100, 60_000)).toBe(0)
        expect(await value('n')).toBe(0)
      })

      it('counts on from a stored whole number', async () => {
        await store('n', 41)
        expect(await driver.increment(prefix, 'n', 1, 60_000)).toBe(42)
        expect(await value('n')).toBe(42)
        await driver.delete(prefix, ['n'])
        expect(await driver.increment(prefix, 'n', 1, 60_000)).toBe(1)
      })

      it('lets a counter live from its first step', async () => {
        const [key, second] = await within(300, async (at) => {
          await driver.increment(prefix, at, 1, 300)
          await pass(200)
          return [at, await driver.increment(prefix, at, 1, 60_000)]
        })
        expect(second).toBe(2)
        await pass(250)
        expect(await driver.increment(prefix, key, 1, 60_000)).toBe(1)
      })

      it.each([
        ['text', 'x', {}],
        ['an object', {}, {}],
        ['a fraction', 1.5, {}],
        ['a tagged number', 1, { tags: ['t'] }],
        ['a number with a stale time', 1, { staleMs: 1000 }],
        ['a sum beyond the safe integers', Number.MAX_SAFE_INTEGER, {}],
      ])('does not count up %s', async (_, stored, more) => {
        await store('n', stored, more)
        await expect(outcome(() => driver.increment(prefix, 'n', 1, 60_000))).rejects.toMatchObject({
          code: 'cache.not_a_counter',
        })
        expect(await value('n')).toStrictEqual(stored)
      })
    })

    describe('clear', () => {
      it('removes a namespace with all its tenants, and nothing else', async () => {
        const other = `${namespace}x::`
        await store('a', 1)
        await store('a', 2, {}, `${namespace}:t1:`)
        await store('a', 3, {}, other)
        await driver.clear(namespace)
        expect(await Promise.all([value('a'), value('a', `${namespace}:t1:`), value('a', other)])).toStrictEqual([
          undefined,
          undefined,
          3,
        ])
      })
    })

    describe('under the facade', () => {
      it('runs one loader for a thousand cold readers', async () => {
        let loads = 0
        const load = async (): Promise<object> => ({ load: ++loads })
        const space = cache.namespace(namespace)
        const found = await Promise.all(Array.from({ length: 1000 }, async () => space.getOrSet('cold', load)))
        expect(loads).toBe(1)
        expect(found.every((each) => (each as { load: number }).load === 1)).toBe(true)
        expect(await space.getOrSet('cold', load)).toStrictEqual({ load: 1 })
        expect(loads).toBe(1)
      })

      it('answers a ping, and closes twice', async () => {
        await cache.ping(new AbortController().signal)
        const another = await open(await create())
        await another.close()
        await another.close()
      })
    })

    processQuestions({
      get driver() {
        return driver
      },
      get cache() {
        return cache
      },
      get namespace() {
        return namespace
      },
      another: async () => open(await create()),
      within,
      pass,
    })

    it('has done all of this without a failure', () => {
      expect(failures).toStrictEqual([])
    })
  })
}
