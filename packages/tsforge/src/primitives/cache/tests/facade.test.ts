import { describe, expect, it } from 'vitest'
import { createContext, runWithContext } from '../../../kernel/context.ts'
import { createMetrics } from '../../../kernel/metrics.ts'
import { createCache } from '../create-cache.ts'
import { addressOf } from '../driver.ts'
import { memory } from '../drivers/memory.ts'
import { requestChannel } from '../events.ts'
import { prefixOf } from '../keys.ts'
import { failuresOf, farCache, memoryCache } from './setup.ts'

const as = <T>(tenantId: string | null, work: () => T): T =>
  runWithContext(createContext({ requestId: 'r', tenantId }), work)

describe('keys', () => {
  it.each(['', 'a\nb', 'a\u0000', '\u007f', 'x'.repeat(513), 'ä'.repeat(257), '\ud800', 5 as unknown as string])(
    'rejects %j, everywhere',
    async (key) => {
      const { cache } = memoryCache()
      const invalid = { code: 'cache.key_invalid' }
      await expect(cache.get(key)).rejects.toMatchObject(invalid)
      await expect(cache.getOrSet(key, () => 1)).rejects.toMatchObject(invalid)
      await expect(cache.set(key, 1)).rejects.toMatchObject(invalid)
      await expect(cache.delete(key)).rejects.toMatchObject(invalid)
      await expect(cache.increment(key)).rejects.toMatchObject(invalid)
      await expect(cache.getMany(['fine', key])).rejects.toMatchObject(invalid)
      await expect(cache.invalidateTags([key])).rejects.toMatchObject(invalid)
      await expect(cache.set('a', 1, { tags: [key] })).rejects.toMatchObject(invalid)
      await expect(cache.getOrSet('a', (context) => context.tags(key))).rejects.toMatchObject(invalid)
    },
  )

  it('takes 512 bytes', async () => {
    const { cache } = memoryCache()
    for (const key of ['x'.repeat(512), 'ä'.repeat(256), '\u{1f600}'.repeat(128)]) {
      await cache.set(key, 1)
      expect(await cache.get(key)).toBe(1)
    }
  })

  it.each(['', 'a:b', 'a b', '.a', 'x'.repeat(65)])('refuses the namespace %j', (name) => {
    const { cache } = memoryCache()
    expect(() => cache.namespace(name)).toThrow(expect.objectContaining({ code: 'cache.key_invalid' }))
  })
})

describe('options', () => {
  it.each([
    { ttl: -1 },
    { ttl: 'soon' as '1s' },
    { jitter: 1.5 },
    { eager: -0.1 },
    { grace: Number.NaN },
    { lock: { lease: 'x' as '1s' } },
  ])('refuses %j when the cache is made and when it is called', async (bad) => {
    expect(() => createCache(memory(), bad)).toThrow(expect.objectContaining({ code: 'cache.option_invalid' }))
    const { cache } = memoryCache()
    await expect(cache.getOrSet('a', () => 1, bad)).rejects.toMatchObject({ code: 'cache.option_invalid' })
  })

  it.each([{ maxEntries: 0 }, { maxBytes: 0 }, { maxEntries: Number.NaN }])('refuses a memory of %j', (bad) => {
    expect(() => memory(bad)).toThrow(expect.objectContaining({ code: 'cache.option_invalid' }))
  })

  it('deletes what is set with no life', async () => {
    const { cache } = memoryCache()
    await cache.set('a', 1)
    expect(await cache.set('a', 2, { ttl: 0 })).toBe(false)
    expect(await cache.get('a')).toBeUndefined()
  })
})

describe('namespaces', () => {
  it('do not see each other, and clear alone', async () => {
    const { cache } = memoryCache()
    const [one, two] = [cache.namespace<string>('one'), cache.namespace<string>('two')]
    await one.set('a', '1', { tags: ['t'] })
    await two.set('a', '2', { tags: ['t'] })
    expect([one.get('a'), two.get('a')]).toStrictEqual(['1', '2'])
    await one.invalidateTags(['t'])
    expect(await one.get('a')).toBeUndefined()
    expect(two.get('a')).toBe('2')
    await one.set('a', '3')
    await two.clear()
    expect(one.get('a')).toBe('3')
    expect(await two.get('a')).toBeUndefined()
  })

  it('of the same name are the same, with one loader for both', async () => {
    const { cache } = memoryCache()
    let loads = 0
    const gate = Promise.withResolvers<number>()
    const load = (): Promise<number> => (loads++, gate.promise)
    const both = [cache.namespace('n'), cache.namespace('n')].map(async (each) => each.getOrSet('a', load))
    gate.resolve(1)
    expect(await Promise.all(both)).toStrictEqual([1, 1])
    expect(loads).toBe(1)
  })
})

describe('the wall between tenants', () => {
  it('keeps entries, tags, counters and loads of tenants apart', async () => {
    const { cache } = memoryCache({ perTenant: true })
    await as('t1', () => cache.set('a', 'one', { tags: ['t'] }))
    await as('t2', () => cache.set('a', 'two', { tags: ['t'] }))
    for (let round = 0; round < 3; round++) {
      expect(await as('t1', () => cache.getOrSet('a', () => 'x'))).toBe('one')
      expect(await as('t2', () => cache.getOrSet('a', () => 'x'))).toBe('two')
      expect(await as('t3', () => cache.get('a'))).toBeUndefined()
    }
    await as('t1', () => cache.invalidateTags(['t']))
    expect(await as('t1', () => cache.get('a'))).toBeUndefined()
    expect(await as('t2', () => cache.get('a'))).toBe('two')
    expect(await as('t1', () => cache.increment('n'))).toBe(1)
    expect(await as('t2', () => cache.increment('n'))).toBe(1)
    const loads = await Promise.all(
      ['t1', 't2'].map((id) => as(id, async () => cache.getOrSet('cold', async () => id))),
    )
    expect(loads).toStrictEqual(['t1', 't2'])
  })

  it('answers a second hit of a tenant without a promise', async () => {
    const { cache } = memoryCache({ perTenant: true })
    await as('t1', () => cache.set('a', 1))
    expect(as('t1', () => cache.get('a'))).toBe(1)
  })

  it.each([null, undefined])('rejects where there is no tenant: %j', async (tenantId) => {
    const { cache } = memoryCache({ perTenant: true })
    const within = <T>(work: () => T): T => (tenantId === undefined ? work() : as(tenantId, work))
    const required = { code: 'tenant.required' }
    await expect(within(() => cache.get('a'))).rejects.toMatchObject(required)
    await expect(within(() => cache.getOrSet('a', () => 1))).rejects.toMatchObject(required)
    await expect(within(() => cache.set('a', 1))).rejects.toMatchObject(required)
    await expect(within(() => cache.invalidateTags(['a']))).rejects.toMatchObject(required)
  })

  it('does not let the name of a tenant reach the entries of another', async () => {
    const { cache } = memoryCache({ perTenant: true })
    await as('t1', () => cache.set('b:k', 'of t1'))
    expect(await as('t1:b', () => cache.get('k'))).toBeUndefined()
    await as('%3A', () => cache.set('k', 1))
    expect(await as(':', () => cache.get('k'))).toBeUndefined()
    // Stores put both together, and take them apart again.
    for (const tenantId of ['', 't1', 't1:b', ':', '%3A', 'ä/ö'])
      for (const key of ['k', ':k', 'b:k', '::'])
        expect(addressOf(prefixOf('n', tenantId) + key)).toStrictEqual({ prefix: prefixOf('n', tenantId), key })
    expect(addressOf('n:')).toBeUndefined()
    expect(addressOf('n:t:')).toBeUndefined()
    expect(addressOf('')).toBeUndefined()
  })
})

describe('values', () => {
  it('are the same reference for everybody, unless asked otherwise', async () => {
    const { cache } = memoryCache()
    const value = { list: [1] }
    await cache.set('a', value)
    expect(cache.get('a')).toBe(value)
  })

  it('are frozen, deeply, when asked for', async () => {
    const { cache } = memoryCache({ values: 'frozen' })
    const found = await cache.getOrSet('a', () => ({ list: [{ n: 1 }], at: new Date(), bytes: Buffer.from('x') }))
    expect(() => ((found.list[0] as { n: number }).n = 2)).toThrow(TypeError)
    expect(() => found.list.push({ n: 3 })).toThrow(TypeError)
  })

  it('are copies of each reader, when asked for', async () => {
    const { cache } = memoryCache({ values: 'cloned' })
    const given = { list: [1] }
    const loaded = await cache.getOrSet('a', () => given)
    given.list.push(2)
    loaded.list.push(3)
    for (let round = 0; round < 2; round++) {
      const found = (await cache.get('a')) as typeof given
      expect(found).toStrictEqual({ list: [1] })
      found.list.push(4)
    }
  })
})

describe('a store that fails', () => {
  it('never fails a read: the loader runs, one for all', async () => {
    const { cache, far } = farCache()
    far.fault = new Error('connection lost')
    let loads = 0
    const failures = await failuresOf(async () => {
      const read = async (): Promise<number> => cache.getOrSet('a', async () => ++loads)
      expect(await Promise.all(Array.from({ length: 100 }, read))).toStrictEqual(Array.from({ length: 100 }, () => 1))
      expect(await cache.get('a')).toBeUndefined()
      expect(await cache.getMany(['a', 'b'])).toStrictEqual([undefined, undefined])
      await new Promise(setImmediate)
    })
    expect(loads).toBe(1)
    expect(failures.map((each) => each.operation)).toStrictEqual(['get', 'set', 'get', 'get'])
  })

  it('tells who writes', async () => {
    const { cache, far } = farCache()
    far.fault = new Error('connection lost')
    await expect(cache.set('a', 1)).rejects.toThrow('connection lost')
    await expect(cache.delete('a')).rejects.toThrow('connection lost')
    await expect(cache.increment('a')).rejects.toThrow('connection lost')
    await expect(cache.invalidateTags(['a'])).rejects.toThrow('connection lost')
    await expect(cache.clear()).rejects.toThrow('connection lost')
  })

  it('that does not answer costs the hard timeout', async () => {
    const { cache, far, clock } = farCache({ hardTimeout: '1s' })
    far.gate = new Promise(() => {})
    const waiting = expect(cache.getOrSet('a', () => 1)).rejects.toMatchObject({ code: 'cache.load_timeout' })
    await clock.advance(1001)
    await waiting
  })

  it('that throws at once is no other', async () => {
    const driver = Object.assign(memory(), {
      get: () => {
        throw new Error('at once')
      },
    })
    const cache = createCache(driver)
    expect(await cache.getOrSet('a', () => 1)).toBe(1)
    expect(await cache.get('b')).toBeUndefined()
  })

  it('that cannot start is counted, and no reason to fail', async () => {
    const failures = await failuresOf(async () => {
      const driver = Object.assign(memory(), { start: () => Promise.reject(new Error('refused')) })
      const cache = createCache(driver as never)
      await cache.ready()
      expect(await cache.getOrSet('a', () => 1)).toBe(1)
    })
    expect(failures).toMatchObject([{ operation: 'start', namespace: undefined }])
  })

  it('with damaged bytes has nothing, which is counted', async () => {
    const { cache, far } = farCache()
    far.plant('default::', 'a', Buffer.from('not ours'))
    const failures = await failuresOf(async () => {
      expect(await cache.getOrSet('a', () => 'loaded')).toBe('loaded')
    })
    expect(failures).toMatchObject([{ operation: 'decode', error: { code: 'cache.corrupt' } }])
    await new Promise(setImmediate)
    expect(await cache.get('a')).toBe('loaded')
  })

  it('refuses values that it could not give back, and gives them to who waits', async () => {
    const { cache } = farCache({ maxValueBytes: 1000 })
    const failures = await failuresOf(async () => {
      const instance = new URL('http://localhost')
      expect(await cache.getOrSet('a', () => instance)).toBe(instance)
      expect(await cache.getOrSet('b', () => 'x'.repeat(2000))).toHaveLength(2000)
      await new Promise(setImmediate)
    })
    expect(failures.map((each) => (each.error as { code: string }).code)).toStrictEqual([
      'cache.not_serializable',
      'cache.value_too_large',
    ])
    await expect(cache.set('a', () => {})).rejects.toMatchObject({ code: 'cache.not_serializable' })
  })
})

describe('remember', () => {
  it('keeps the results of a function by its arguments', async () => {
    const { cache } = memoryCache()
    let calls = 0
    const add = cache.remember('add', async (a: number, b: string) => `${a}${b}${++calls}`, { ttl: '1m' })
    expect(await add(1, 'x')).toBe('1x1')
    expect(await add(1, 'x')).toBe('1x1')
    expect(await add(1, 'y')).toBe('1y2')
    expect(await add.forget(1, 'x')).toBe(true)
    expect(await add(1, 'x')).toBe('1x3')
    expect(await add(1, 'z'.repeat(5000))).toMatch(/4$/)
    expect(await add(1, 'z'.repeat(5000))).toMatch(/4$/)
  })

  it('tells arguments of different types apart, and takes a key of your own', async () => {
    const { cache } = memoryCache()
    const kind = cache.remember('kind', (value: unknown) => typeof value)
    expect([await kind(1), await kind('1'), await kind(null), await kind(['1'])]).toStrictEqual([
      'number',
      'string',
      'object',
      'object',
    ])
    const own = cache.remember('own', (user: { id: string; at: Date }) => user.at, { key: (user) => user.id })
    const first = await own({ id: 'a', at: new Date(1) })
    expect(await own({ id: 'a', at: new Date(2) })).toBe(first)
  })
})

describe('counting', () => {
  it('counts every request once, by its result', async () => {
    const metrics = createMetrics()
    const { cache, clock } = memoryCache({ metrics, ttl: '10s', stale: '10s' })
    const told: unknown[] = []
    const listener = (event: unknown): void => void told.push(event)
    requestChannel.subscribe(listener)
    await cache.getOrSet('a', () => 1)
    expect(cache.getOrSet('a', () => 2)).toBe(1)
    await clock.advance(11_000)
    await cache.getOrSet('a', () => 1)
    await clock.advance(0)
    await cache.getMany(['a', 'b'])
    await expect(cache.getOrSet('c', () => Promise.reject(new Error('x')))).rejects.toThrow('x')
    requestChannel.unsubscribe(listener)
    const text = metrics.render()
    for (const [result, count] of Object.entries({ hit: 2, stale: 1, miss: 2, error: 1 }))
      expect(text).toContain(`forge_cache_requests_total{namespace="default",result="${result}"} ${count}\n`)
    expect(text).toContain('forge_cache_errors_total{operation="load"} 1\n')
    expect(told).toHaveLength(6)
    expect(told[0]).toStrictEqual({ namespace: 'default', key: 'a', result: 'miss' })
  })
})
