import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createFakeClock } from '../../../testing/clock.ts'
import type { FakeClock } from '../../../testing/clock.ts'
import type { RootCache } from '../cache.ts'
import { createCache } from '../create-cache.ts'
import type { CacheBus, CacheChange } from '../driver.ts'
import { memory } from '../drivers/memory.ts'
import { tiered } from '../drivers/tiered.ts'
import type { TieredOptions } from '../drivers/tiered.ts'
import { FarDriver } from './setup.ts'

/** A bus that says what the test says. */
class TestBus implements CacheBus {
  readonly name = 'test'
  published: CacheChange[] = []
  fault: Error | undefined
  hear: (change: CacheChange) => void = () => {}
  lose: (state: 'lost' | 'restored') => void = () => {}

  async publish(change: CacheChange): Promise<void> {
    if (this.fault !== undefined) throw this.fault
    this.published.push(change)
  }

  async subscribe(
    listener: (change: CacheChange) => void,
    onLost: (state: 'lost' | 'restored') => void,
  ): Promise<() => Promise<void>> {
    this.hear = listener
    this.lose = onLost
    return async () => {}
  }
}

const prefix = 'default::'
const away = new Error('away')

let clock: FakeClock
let far: FarDriver
let bus: TestBus
let cache: RootCache<string>

async function open(options: Partial<TieredOptions> = {}): Promise<void> {
  cache = createCache<string>(tiered({ near: memory(), far, bus, ...options }), { clock, jitter: 0, ttl: '10m' })
  await cache.ready()
}
beforeEach(async () => {
  clock = createFakeClock()
  far = new FarDriver()
  bus = new TestBus()
  await open()
})
afterEach(() => cache.close())

/** Lets what was called go as far as it goes. */
const settle = (): Promise<void> => clock.advance(0)

describe('what is near', () => {
  it('is served without asking the store', async () => {
    await cache.set('a', 'x')
    far.calls = []
    expect(await cache.get('a')).toBe('x')
    expect(cache.getOrSet('a', () => 'loaded')).toBe('x')
    expect(far.calls).toEqual([])
  })

  it('is dropped as others change it', async () => {
    await cache.set('a', 'x', { tags: ['t'] })
    await cache.set('b', 'x')
    await cache.set('c', 'x')
    far.calls = []
    bus.hear({ prefix, tags: ['t'] })
    bus.hear({ prefix, keys: ['b'] })
    await cache.get('c')
    expect(far.calls).toEqual([])
    await Promise.all([cache.get('a'), cache.get('b')])
    expect(far.calls).toEqual(['get', 'get'])
    bus.hear({ prefix: 'default:' })
    await cache.get('c')
    expect(far.calls).toEqual(['get', 'get', 'get'])
  })

  it.each([
    ['its key', { prefix, keys: ['a'] }],
    ['its tag', { prefix, tags: ['t'] }],
    ['its namespace', { prefix: 'default:' }],
    ['everything', {}],
  ])('is not what was on its way when %s changed', async (_, change) => {
    await far.set(prefix, 'a', { value: 'old', freshMs: 60_000, staleMs: 0, eagerMs: 0, tags: ['t'] })
    const gate = Promise.withResolvers<void>()
    far.gate = gate.promise
    const reading = cache.get('a')
    await settle()
    bus.hear(change)
    gate.resolve()
    await reading
    far.calls = []
    await cache.get('a')
    expect(far.calls).toEqual(['get'])
  })

  it('is not what was being written when another one wrote', async () => {
    const gate = Promise.withResolvers<void>()
    far.gate = gate.promise
    const writing = cache.set('a', 'mine')
    await settle()
    bus.hear({ prefix, keys: ['a'] })
    gate.resolve()
    await writing
    far.calls = []
    await cache.get('a')
    expect(far.calls).toEqual(['get'])
  })
})

describe('who waits for the lock of another process', () => {
  const theirs = { value: 'theirs', freshMs: 60_000, staleMs: 0, eagerMs: 0, tags: ['t'] }
  const locked = async (): Promise<string> => cache.getOrSet('a', () => 'mine', { lock: true, tags: ['t'] })

  beforeEach(async () => {
    far = Object.assign(new FarDriver(), { lock: async () => false, unlock: async () => {} })
    await open()
  })

  it.each<[string, CacheChange[]]>([
    ['its key has changed', [{ prefix, keys: ['b', 'a'] }]],
    [
      'its key has changed after its tag',
      [
        { prefix, tags: ['t'] },
        { prefix, keys: ['a'] },
      ],
    ],
    ['the store is heard again', [{}]],
  ])('has the value as soon as it is told that %s, without any timer', async (_, changes) => {
    const reading = locked()
    await settle()
    await far.set(prefix, 'a', theirs)
    for (const change of changes) bus.hear(change)
    expect(await reading).toBe('theirs')
  })

  it('has it too when the news overtakes an answer that is older', async () => {
    const get = far.get.bind(far)
    let answers = 0
    far.get = async (...address) => {
      const answer = await get(...address)
      if (++answers === 2) {
        await far.set(prefix, 'a', theirs)
        bus.hear({ prefix, keys: ['a'] })
      }
      return answer
    }
    expect(await locked()).toBe('theirs')
    expect(answers).toBe(3)
  })

  it('does not ask again for what becomes of other keys', async () => {
    const reading = locked()
    await settle()
    far.calls = []
    bus.hear({ prefix, keys: ['b'] })
    bus.hear({ prefix: 'other::', keys: ['a'] })
    await settle()
    expect(far.calls).toEqual([])
    await clock.advance(30_100)
    expect(await reading).toBe('mine')
  })

  it('has the lock as soon as a failed load of its own process has given it back', async () => {
    const gate = Promise.withResolvers<void>()
    let owner: string | undefined
    let refused = 0
    Object.assign(far, {
      lock: async (_prefix: string, _key: string, token: string) => {
        if (owner !== undefined) refused++
        return (owner ??= token) === token
      },
      unlock: async () => {
        await gate.promise
        owner = undefined
      },
    })
    await expect(async () => cache.getOrSet('a', () => Promise.reject(away), { lock: true })).rejects.toBe(away)
    const reading = locked()
    await settle()
    expect(refused).toBe(1)
    gate.resolve()
    expect(await reading).toBe('mine')
  })

  it('loads for itself at once when the cache is closed', async () => {
    const reading = locked()
    await settle()
    Object.assign(far, { lock: () => Promise.reject(away) })
    await cache.close()
    expect(await reading).toBe('mine')
  })
})

describe('what others are told', () => {
  it('is what was written, counted, deleted and invalidated', async () => {
    await cache.set('a', 'x')
    await cache.increment('n')
    await cache.delete('a')
    await cache.invalidateTags(['t'])
    await cache.clear()
    expect(bus.published).toEqual([
      { prefix, keys: ['a'] },
      { prefix, keys: ['n'] },
      { prefix, keys: ['a'] },
      { prefix, tags: ['t'] },
      { prefix: 'default:' },
    ])
  })

  it.each([
    ['before a store', true],
    ['alone', false],
  ])('is not what was merely loaded, %s: processes would drop each other’s values for ever', async (_, stored) => {
    await cache.close()
    cache = createCache<string>(tiered({ near: memory(), bus, ...(stored && { far }) }), { clock, jitter: 0 })
    await cache.ready()
    const loading = cache.getOrSet('a', async () => {
      await clock.sleep(5)
      return 'x'
    })
    await clock.advance(5)
    await loading
    await settle()
    expect(bus.published).toEqual([])
  })

  it('waits while the bus is away', async () => {
    bus.fault = away
    await cache.delete('a')
    expect(cache.stats().pending).toBe(1)
    bus.fault = undefined
    await clock.advance(1000)
    expect([bus.published, cache.stats().pending]).toEqual([[{ prefix, keys: ['a'] }], 0])
  })
})

describe('when nobody can be heard', () => {
  it('what is near lives on for the time that the options say, and no longer', async () => {
    await cache.set('a', 'x')
    bus.lose('lost')
    far.calls = []
    await clock.advance(4900)
    await cache.get('a')
    expect(far.calls).toEqual([])
    await clock.advance(200)
    await cache.get('a')
    expect(far.calls).toEqual(['get'])
    // What came since then ends in the same way.
    await clock.advance(5000)
    await cache.get('a')
    expect(far.calls).toEqual(['get', 'get'])
  })

  it('forgets all that is near as soon as others can be heard again', async () => {
    await cache.set('a', 'x')
    bus.lose('lost')
    bus.lose('restored')
    far.calls = []
    await cache.get('a')
    expect(far.calls).toEqual(['get'])
    await clock.advance(20_000)
    await cache.get('a')
    expect(far.calls).toEqual(['get'])
  })
})

describe('when the store is away', () => {
  it('keeps what is written near, and makes the store forget the old value later', async () => {
    await cache.set('a', 'old')
    far.fault = away
    await cache.set('a', 'new')
    expect(await cache.get('a')).toBe('new')
    far.fault = undefined
    expect(cache.stats().pending).toBe(1)
    await clock.advance(1000)
    expect(cache.stats().pending).toBe(0)
    expect(await far.get(prefix, 'a')).toBeUndefined()
  })

  it('hides what the store has until it knows better', async () => {
    await cache.set('a', 'old', { tags: ['t'] })
    await cache.set('b', 'old')
    far.fault = away
    await cache.invalidateTags(['t'])
    await cache.delete('b')
    far.fault = undefined
    expect([await cache.get('a'), await cache.get('b')]).toEqual([undefined, undefined])
    expect((await cache.getMany(['a', 'b'])).every((each) => each === undefined)).toBe(true)
    await clock.advance(1000)
    expect(cache.stats().pending).toBe(0)
  })

  it('does not undo a later write when it makes up for an earlier one', async () => {
    far.fault = away
    await cache.delete('a')
    far.fault = undefined
    await cache.set('a', 'new')
    await clock.advance(2000)
    expect(await far.get(prefix, 'a')).toMatchObject({ value: 'new' })
  })

  it('goes on trying', async () => {
    far.fault = away
    await cache.delete('a')
    await clock.advance(10_000)
    expect(cache.stats().pending).toBe(1)
    far.fault = undefined
    bus.lose('restored')
    await settle()
    expect(cache.stats().pending).toBe(0)
  })

  it('never counts by itself', async () => {
    far.fault = away
    await expect(cache.increment('n')).rejects.toBe(away)
  })

  it('clears all rather than forget one of too many changes', async () => {
    await cache.close()
    far = new FarDriver()
    await open({ maxPending: 3 })
    await cache.set('kept', 'x')
    far.fault = away
    for (const key of ['a', 'b', 'c', 'd']) await cache.delete(key)
    expect(cache.stats().pending).toBe(1)
    far.fault = undefined
    await clock.advance(1000)
    expect([await far.get(prefix, 'kept'), cache.stats().pending]).toEqual([undefined, 0])
  })

  it('rejects a value that no store takes, and owes nothing', async () => {
    await expect(cache.set('a', (() => {}) as never)).rejects.toMatchObject({ code: 'cache.not_serializable' })
    expect(cache.stats().pending).toBe(0)
  })
})
