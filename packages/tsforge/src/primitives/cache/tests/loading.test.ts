import { describe, expect, it } from 'vitest'
import { failuresOf, farCache, heldLoader, memoryCache } from './setup.ts'

const never = (): Promise<never> => new Promise(() => {})
const fail = (): Promise<never> => Promise.reject(new Error('source is down'))

describe('a hit', () => {
  it('is answered without a promise from memory', async () => {
    const { cache } = memoryCache()
    const value = { name: 'Ada' }
    await cache.getOrSet('a', () => value)
    expect(cache.getOrSet('a', never)).toBe(value)
    expect(cache.get('a')).toBe(value)
  })

  it('ends with its ttl', async () => {
    const { cache, clock } = memoryCache()
    await cache.getOrSet('a', () => 'old', { ttl: '10s' })
    await clock.advance(9900)
    expect(await cache.getOrSet('a', () => 'new')).toBe('old')
    await clock.advance(200)
    expect(await cache.get('a')).toBeUndefined()
    expect(await cache.getOrSet('a', () => 'new')).toBe('new')
  })

  it('does not care when the wall clock jumps', async () => {
    const { cache, clock } = memoryCache()
    await cache.set('a', 1, { ttl: '10s' })
    clock.jump(0)
    await clock.advance(5000)
    expect(await cache.get('a')).toBe(1)
    clock.jump(Date.UTC(2100, 0, 1))
    await clock.advance(4000)
    expect(await cache.get('a')).toBe(1)
    await clock.advance(1100)
    expect(await cache.get('a')).toBeUndefined()
  })
})

describe('jitter', () => {
  it('shortens lives by up to its share and never lengthens one', async () => {
    for (const [random, alive] of [
      [0, true],
      [0.999, false],
    ] as const) {
      const { cache, clock } = memoryCache({ jitter: 0.1, random: () => random })
      await cache.set('a', 1, { ttl: '100s' })
      await clock.advance(89_000)
      expect(await cache.get('a')).toBe(1)
      await clock.advance(2500)
      expect(await cache.get('a')).toBe(alive ? 1 : undefined)
      await clock.advance(9000)
      expect(await cache.get('a')).toBeUndefined()
    }
  })

  it('is a tenth where nobody says otherwise', async () => {
    const { cache, clock } = memoryCache({ random: () => 0.999 })
    const usual = cache.namespace('usual', { jitter: 0.1 })
    await usual.set('a', 1, { ttl: '100s' })
    await clock.advance(90_500)
    expect(await usual.get('a')).toBeUndefined()
  })
})

describe('single flight', () => {
  it('asks a store once and loads once for all who wait', async () => {
    const { cache, far } = farCache()
    const { load, resolve, calls } = heldLoader<string>()
    let ran = calls
    const readers = Array.from({ length: 1000 }, async () => cache.getOrSet('a', () => (ran++, load())))
    await new Promise(setImmediate)
    resolve('v')
    expect(new Set(await Promise.all(readers))).toStrictEqual(new Set(['v']))
    expect(ran).toBe(1)
    expect(far.calls).toStrictEqual(['get', 'set'])
  })

  it('gives all who wait the error, and the next one a new try', async () => {
    const { cache } = memoryCache()
    const readers = await Promise.allSettled([1, 2, 3].map(async () => cache.getOrSet('a', fail)))
    for (const reader of readers)
      expect(reader).toMatchObject({ status: 'rejected', reason: { message: 'source is down' } })
    expect(await cache.getOrSet('a', () => 'well')).toBe('well')
    expect(cache.counts).toStrictEqual({ hit: 0, stale: 0, miss: 1, error: 3 })
  })

  it('rejects with what a loader throws at once', async () => {
    const { cache } = memoryCache()
    const thrown = cache.getOrSet('a', () => {
      throw new Error('at once')
    })
    await expect(thrown).rejects.toThrow('at once')
  })

  it('answers who comes while the store still takes the value', async () => {
    const { cache, far } = farCache()
    const stored = Promise.withResolvers<void>()
    const first = cache.getOrSet('a', () => {
      far.gate = stored.promise
      return 'v'
    })
    expect(await first).toBe('v')
    expect(await cache.getOrSet('a', never)).toBe('v')
    stored.resolve()
  })
})

describe('stale while revalidate', () => {
  it('serves the old value at once and refreshes it behind', async () => {
    const { cache, clock } = memoryCache({ ttl: '10s', stale: '20s' })
    await cache.getOrSet('a', () => 'old')
    await clock.advance(11_000)
    const held = heldLoader<string>()
    expect(await cache.getOrSet('a', held.load)).toBe('old')
    expect(await cache.getOrSet('a', held.load)).toBe('old')
    expect(held.calls).toBe(1)
    held.resolve('new')
    await clock.advance(0)
    expect(cache.getOrSet('a', never)).toBe('new')
    expect(cache.counts).toMatchObject({ hit: 1, stale: 2, miss: 1 })
  })

  it('waits for the new value once the old one is too old', async () => {
    const { cache, clock } = memoryCache({ ttl: '10s', stale: '20s' })
    await cache.getOrSet('a', () => 'old')
    await clock.advance(30_100)
    expect(await cache.getOrSet('a', () => 'new')).toBe('new')
  })

  it('counts a failed refresh, serves on, and leaves the source alone for a while', async () => {
    const { cache, clock } = memoryCache({ ttl: '10s', grace: '1h', backoff: '5s' })
    await cache.getOrSet('a', () => 'old')
    await clock.advance(11_000)
    let calls = 0
    const failing = (): Promise<never> => (calls++, fail())
    const failures = await failuresOf(async () => {
      expect(await cache.getOrSet('a', failing)).toBe('old')
      expect(await cache.getOrSet('a', failing)).toBe('old')
    })
    expect(calls).toBe(1)
    expect(failures).toMatchObject([{ operation: 'load', namespace: 'default' }])
    await clock.advance(5001)
    expect(await cache.getOrSet('a', () => 'new')).toBe('new')
  })
})

describe('grace', () => {
  it('serves the old value when the loader fails, and the error when there is none', async () => {
    const { cache, clock } = memoryCache({ ttl: '10s', grace: '1m' })
    await cache.getOrSet('a', () => 'old')
    await clock.advance(30_000)
    expect(await cache.getOrSet('a', fail)).toBe('old')
    await clock.advance(41_000)
    await expect(cache.getOrSet('a', fail)).rejects.toThrow('source is down')
    await expect(cache.getOrSet('b', fail)).rejects.toThrow('source is down')
  })

  it('is the reader’s to grant, however long the store keeps the value', async () => {
    const { cache, clock } = memoryCache({ ttl: '10s', grace: '1h', backoff: 0 })
    await cache.getOrSet('a', () => 'old')
    await clock.advance(30_000)
    await expect(cache.getOrSet('a', fail, { grace: '5s' })).rejects.toThrow('source is down')
    expect(await cache.getOrSet('a', fail, { grace: '30s' })).toBe('old')
  })

  it('serves the old value after the soft timeout, and the new one to the next', async () => {
    const { cache, clock } = memoryCache({ ttl: '10s', grace: '1m', softTimeout: '100ms' })
    await cache.getOrSet('a', () => 'old')
    await clock.advance(11_000)
    const held = heldLoader<string>()
    const slow = cache.getOrSet('a', held.load)
    await clock.advance(101)
    expect(await slow).toBe('old')
    held.resolve('new')
    await clock.advance(0)
    expect(await cache.get('a')).toBe('new')
  })

  it('never serves what was invalidated or deleted', async () => {
    const { cache, clock } = memoryCache({ ttl: '10s', grace: '1h', stale: '1h' })
    await cache.set('a', 'old', { tags: ['t'] })
    await cache.set('b', 'old')
    await clock.advance(11_000)
    await cache.invalidateTags(['t'])
    await cache.delete('b')
    await expect(cache.getOrSet('a', fail)).rejects.toThrow('source is down')
    await expect(cache.getOrSet('b', fail)).rejects.toThrow('source is down')
  })
})

describe('a loader that takes long', () => {
  it('costs its callers the hard timeout, and still fills the cache', async () => {
    const { cache, clock } = memoryCache({ hardTimeout: '1s' })
    const held = heldLoader<string>()
    const waiting = expect(cache.getOrSet('a', held.load)).rejects.toMatchObject({ code: 'cache.load_timeout' })
    await clock.advance(1001)
    await waiting
    held.resolve('late')
    await clock.advance(0)
    expect(await cache.get('a')).toBe('late')
    expect(held.calls).toBe(1)
  })

  it('is given up after the load timeout, so that the next caller tries anew', async () => {
    const { cache, clock } = memoryCache({ loadTimeout: '5s' })
    let aborted = false
    const waiting = expect(
      cache.getOrSet('a', ({ signal }) => {
        signal.addEventListener('abort', () => (aborted = true))
        return never()
      }),
    ).rejects.toMatchObject({ code: 'cache.load_timeout' })
    await clock.advance(5001)
    await waiting
    expect(aborted).toBe(true)
    expect(await cache.getOrSet('a', () => 'v')).toBe('v')
    expect(clock.pending).toBeLessThanOrEqual(1)
  })

  it('does not turn an error of its own into a timeout', async () => {
    const { cache } = memoryCache()
    await expect(cache.getOrSet('a', fail)).rejects.toThrow('source is down')
  })
})

describe('eager refresh', () => {
  it('loads behind the back of a hit, once, near the end of its life', async () => {
    const { cache, clock } = memoryCache({ ttl: '100s', eager: 0.8 })
    await cache.getOrSet('a', () => 'old')
    await clock.advance(79_000)
    expect(await cache.getOrSet('a', never)).toBe('old')
    await clock.advance(2000)
    const held = heldLoader<string>()
    expect(await cache.getOrSet('a', held.load)).toBe('old')
    expect(await cache.getOrSet('a', held.load)).toBe('old')
    expect(held.calls).toBe(1)
    held.resolve('new')
    await clock.advance(0)
    expect(cache.get('a')).toBe('new')
  })
})

describe('what a loader says', () => {
  it('keeps nothing after skip', async () => {
    const { cache } = memoryCache()
    expect(await cache.getOrSet('a', (context) => (context.skip(), 'v'))).toBe('v')
    expect(await cache.get('a')).toBeUndefined()
  })

  it('keeps an absence for its own ttl, and never as stale', async () => {
    const { cache, clock } = memoryCache({ stale: '1h', grace: '1h' })
    let calls = 0
    const absent = (): Promise<unknown> =>
      Promise.resolve(cache.getOrSet('a', (context) => (calls++, context.negative('5s'), undefined)))
    expect(await absent()).toBeUndefined()
    expect(await absent()).toBeUndefined()
    expect(calls).toBe(1)
    await clock.advance(5100)
    await absent()
    expect(calls).toBe(2)
  })

  it('keeps null and undefined for the negative ttl of the options, and undefined not at all without one', async () => {
    const { cache, clock } = memoryCache()
    await cache.getOrSet('null', () => null, { negativeTtl: '1s' })
    await cache.getOrSet('plain null', () => null)
    await cache.getOrSet('undefined', () => undefined)
    let again = 0
    await cache.getOrSet('undefined', () => void again++)
    expect(again).toBe(1)
    expect(await cache.get('null')).toBeNull()
    await clock.advance(1100)
    expect(await cache.get('null')).toBeUndefined()
    expect(await cache.get('plain null')).toBeNull()
  })

  it('takes another ttl and more tags', async () => {
    const { cache, clock } = memoryCache()
    const load = (): unknown =>
      cache.getOrSet(
        'a',
        (context) => {
          context.tags('late')
          context.ttl('1h')
          return 1
        },
        { tags: ['early'] },
      )
    await load()
    await clock.advance(1_800_000)
    expect(await cache.get('a')).toBe(1)
    await cache.invalidateTags(['late'])
    expect(await cache.get('a')).toBeUndefined()
    await load()
    await cache.invalidateTags(['early'])
    expect(await cache.get('a')).toBeUndefined()
  })

  it('shows the old value to the loader', async () => {
    const { cache, clock } = memoryCache({ ttl: '1s', grace: '1m' })
    await cache.getOrSet('a', () => 1)
    await clock.advance(2000)
    expect(await cache.getOrSet('a', ({ stale }) => (stale as number) + 1)).toBe(2)
  })
})

describe('a change during a load', () => {
  it.each([
    ['a write', (cache: ReturnType<typeof memoryCache>['cache']) => cache.set('a', 'written'), 'written'],
    ['a delete', (cache: ReturnType<typeof memoryCache>['cache']) => cache.delete('a'), 'fresh'],
    ['an invalidated tag', (cache: ReturnType<typeof memoryCache>['cache']) => cache.invalidateTags(['t']), 'fresh'],
    ['a clear', (cache: ReturnType<typeof memoryCache>['cache']) => cache.clear(), 'fresh'],
  ])('wins: %s', async (_, change, after) => {
    const { cache } = memoryCache()
    const held = heldLoader<string>()
    const early = cache.getOrSet('a', held.load, { tags: ['t'] })
    await change(cache)
    // Who comes after the change must not get what was read before it.
    const late = cache.getOrSet('a', () => 'fresh')
    expect(await late).toBe(after)
    held.resolve('outdated')
    expect(await early).toBe('outdated')
    expect(await cache.get('a')).toBe(after)
  })

  it('wins when another process made it', async () => {
    const { cache, far } = farCache()
    const held = heldLoader<string>()
    const early = cache.getOrSet('a', held.load)
    await new Promise(setImmediate)
    far.hear({ prefix: 'default::', keys: ['a'] })
    held.resolve('outdated')
    expect(await early).toBe('outdated')
    expect(await cache.get('a')).toBeUndefined()
  })

  it('is remembered for thousands of tags while one load runs', async () => {
    const { cache } = memoryCache()
    const held = heldLoader<string>()
    const early = cache.getOrSet('a', async (context) => {
      const value = await held.load()
      context.tags('t5')
      return value
    })
    for (let at = 0; at < 11_000; at++) await cache.invalidateTags([`t${at}`])
    held.resolve('outdated')
    await early
    expect(await cache.get('a')).toBeUndefined()
  })
})
