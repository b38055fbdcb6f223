import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { hasRedis, startRedis } from '../../../testing/redis-server.ts'
import type { RedisServer } from '../../../testing/redis-server.ts'
import { timed } from '../../../testing/stopwatch.ts'
import { startTcpProxy } from '../../../testing/tcp-proxy.ts'
import type { TcpProxy } from '../../../testing/tcp-proxy.ts'
import { createRedis } from '../../redis/index.ts'
import type { Redis } from '../../redis/index.ts'
import type { RootCache } from '../cache.ts'
import type { CacheBus, CacheChange } from '../driver.ts'
import { createCache } from '../create-cache.ts'
import { memory } from '../drivers/memory.ts'
import { redis, redisTracking } from '../drivers/redis.ts'
import { tiered } from '../drivers/tiered.ts'

const deadlineMs = 200
/** What an answer may take beyond the deadline. */
const graceMs = 50

interface Fault {
  readonly name: string
  /** How many questions a change may ask of a store that answers; default 1. */
  readonly questions?: number
  begin(): unknown
  end(): unknown
}

describe.runIf(hasRedis)('a cache whose Redis breaks', () => {
  let server: RedisServer
  let proxy: TcpProxy
  let connection: Redis
  let direct: Redis
  /** The process that is in trouble, and one that is not. */
  let cache: RootCache<string>
  let other: RootCache<string>
  const unhandled: unknown[] = []
  const note = (reason: unknown): void => void unhandled.push(reason)

  const open = (over: Redis, deafMs = 20_000, bus = redisTracking(over)): RootCache<string> =>
    createCache<string>(tiered({ near: memory(), far: redis(over), bus, deafMs }), { jitter: 0, ttl: '1m' })
  /** What the cache in trouble has been told, in the order of the store. */
  let told: CacheChange[] = []
  const noted = (over: Redis): CacheBus => {
    const bus = redisTracking(over)
    return {
      ...bus,
      subscribe: (listener, onLost) => bus.subscribe((change) => (told.push(change), listener(change)), onLost),
    }
  }

  beforeEach(async () => {
    unhandled.length = 0
    process.on('unhandledRejection', note)
    server = await startRedis()
    proxy = await startTcpProxy(server.port)
    connection = createRedis({ url: `redis://127.0.0.1:${proxy.port}`, deadlineMs, connectMs: 2000 })
    direct = createRedis({ url: server.url, deadlineMs: 10_000, connectMs: 10_000 })
    told = []
    cache = open(connection, undefined, noted(connection))
    other = open(direct)
    await Promise.all([cache.ready(), other.ready()])
    for (const each of [connection, direct])
      await vi.waitFor(() => each.command(['PING']), { timeout: 20_000, interval: 10 })
  })
  afterEach(async () => {
    server.resume()
    for (const each of [cache, other, connection, direct]) await each.close()
    await proxy[Symbol.asyncDispose]()
    await server[Symbol.asyncDispose]()
    process.off('unhandledRejection', note)
    if (unhandled.length > 0) throw new AggregateError(unhandled, 'rejections that nobody handled')
  })

  const faults: readonly Fault[] = [
    { name: 'stopped', begin: () => server.pause(), end: () => server.resume() },
    { name: 'cut off', begin: () => proxy.set({ kind: 'cut' }), end: () => proxy.set({ kind: 'open' }) },
    { name: 'unreachable', begin: () => proxy.set({ kind: 'blackhole' }), end: () => proxy.set({ kind: 'open' }) },
    {
      name: 'slower than the deadline',
      begin: () => proxy.set({ kind: 'slow', delayMs: 3 * deadlineMs }),
      end: () => proxy.set({ kind: 'open' }),
    },
    {
      name: 'read-only',
      questions: 2,
      begin: () => server.admin('REPLICAOF', '127.0.0.1', '1'),
      end: () => server.admin('REPLICAOF', 'NO', 'ONE'),
    },
    {
      name: 'full',
      questions: 2,
      begin: () => server.admin('CONFIG', 'SET', 'maxmemory', '1'),
      end: () => server.admin('CONFIG', 'SET', 'maxmemory', '0'),
    },
    { name: 'killed and restarted', begin: () => server.kill(), end: () => server.start() },
  ]

  /** Stored, and known to both. A server that is slow for once is asked again. */
  const everywhere = async (key: string, value: string, tags: readonly string[] = []): Promise<void> => {
    await expect
      .poll(async () => {
        await cache.set(key, value, { tags })
        return [await other.get(key), await cache.get(key), cache.stats().pending]
      })
      .toEqual([value, value, 0])
  }

  it.each(faults)('serves, loads and forgets as before when it is $name, and comes back by itself', async (fault) => {
    await everywhere('hot', 'near')
    await everywhere('deleted', 'old')
    await everywhere('tagged', 'old', ['t'])
    // Its own write is told to the writer too, and dropped from its memory: only then does it stay there.
    await vi.waitFor(
      async () => {
        await other.set('last', 'told')
        expect(told.at(-1)).toMatchObject({ keys: ['last'] })
      },
      { timeout: 20_000, interval: 20 },
    )
    for (const key of ['hot', 'deleted', 'tagged']) await expect.poll(() => cache.get(key)).toBeDefined()
    await fault.begin()

    const hot = await timed(() => cache.getOrSet('hot', () => 'loaded'))
    expect(hot.ranMs).toBeLessThan(graceMs)
    expect(['near', 'loaded']).toContain(hot.value)

    const cold = await Promise.all(
      Array.from({ length: 20 }, (_, n) => timed(() => cache.getOrSet(`cold ${n % 4}`, () => 'loaded'))),
    )
    for (const { value, ranMs } of cold) {
      expect(value).toBe('loaded')
      expect(ranMs).toBeLessThan(deadlineMs + graceMs)
    }

    // Changes hold here at once, whether or not the store knows of them.
    for (const change of [
      await timed(() => cache.delete('deleted')),
      await timed(() => cache.invalidateTags(['t'])),
      await timed(() => cache.set('written', 'new')),
    ])
      expect(change.ranMs).toBeLessThan((fault.questions ?? 1) * deadlineMs + graceMs)
    expect(await cache.get('deleted')).toBeUndefined()
    expect(await cache.get('tagged')).toBeUndefined()

    await fault.end()
    await expect.poll(() => cache.stats().pending).toBe(0)
    await expect
      .poll(async () => [await other.get('deleted'), await other.get('tagged')])
      .toEqual([undefined, undefined])
    await expect
      .poll(async () => {
        await cache.set('after', 'both')
        return other.get('after')
      })
      .toBe('both')
  })

  it('forgets what it holds soon when nobody can tell it of changes', async () => {
    await cache.close()
    cache = open(connection, 300)
    await cache.ready()
    await everywhere('a', 'old')
    proxy.set({ kind: 'cut' })
    await other.set('a', 'new')
    await expect.poll(() => cache.get('a')).toBeUndefined()
    proxy.set({ kind: 'open' })
    await expect.poll(() => cache.get('a')).toBe('new')
  })

  it('does not show what the store still has of a deleted key before it has told the store', async () => {
    await everywhere('a', 'old', ['t'])
    await everywhere('b', 'old')
    await server.admin('REPLICAOF', '127.0.0.1', '1')
    await cache.invalidateTags(['t'])
    await cache.delete('b')
    // The store answers reads, and has both.
    await expect.poll(() => connection.command(['PING']).catch(() => undefined)).toBe('PONG')
    expect([await cache.get('a'), await cache.get('b')]).toEqual([undefined, undefined])
    await server.admin('REPLICAOF', 'NO', 'ONE')
    await expect.poll(() => cache.stats().pending).toBe(0)
    await expect.poll(async () => [await other.get('a'), await other.get('b')]).toEqual([undefined, undefined])
  })

  it('keeps a bounded number of changes for a store that is away', async () => {
    await cache.close()
    cache = createCache<string>(
      tiered({ near: memory(), far: redis(connection), bus: redisTracking(connection), maxPending: 10 }),
      { jitter: 0 },
    )
    await cache.ready()
    await other.set('kept', 'old')
    proxy.set({ kind: 'cut' })
    for (let n = 0; n < 100; n++) await cache.delete(`k${n}`)
    expect(cache.stats().pending).toBe(1)
    proxy.set({ kind: 'open' })
    await expect.poll(() => cache.stats().pending).toBe(0)
    // More than could be remembered: all of it is cleared.
    await expect.poll(() => other.get('kept')).toBeUndefined()
  })

  it('invalidates tags of a full server by making it forget them', async () => {
    await everywhere('a', 'old', ['t'])
    await server.admin('CONFIG', 'SET', 'maxmemory', '1')
    await other.invalidateTags(['t'])
    expect(other.stats().pending).toBe(0)
    await expect.poll(() => cache.get('a')).toBeUndefined()
  })
})
