import { createClient } from 'redis'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { hasRedis, startRedis } from '../../../testing/redis-server.ts'
import type { RedisServer } from '../../../testing/redis-server.ts'
import { timed } from '../../../testing/stopwatch.ts'
import { startTcpProxy } from '../../../testing/tcp-proxy.ts'
import type { TcpProxy } from '../../../testing/tcp-proxy.ts'
import { createRedis } from '../create-redis.ts'
import type { Redis } from '../redis.ts'

const deadlineMs = 200
/** What an answer may take beyond the deadline. */
const graceMs = 50
/** Where no deadline is to be seen. */
const patient = { deadlineMs: 10_000 }
/** How long a busy machine may take; nothing waits for it. */
const soon = { timeout: 20_000, interval: 10 }

describe.runIf(hasRedis)('a Redis that breaks', () => {
  let server: RedisServer
  let proxy: TcpProxy
  let redis: Redis
  const unhandled: unknown[] = []
  const note = (reason: unknown): void => void unhandled.push(reason)

  beforeEach(async () => {
    unhandled.length = 0
    process.on('unhandledRejection', note)
    server = await startRedis()
    proxy = await startTcpProxy(server.port)
    redis = createRedis({ url: `redis://127.0.0.1:${proxy.port}`, deadlineMs, connectMs: 2000 })
    await vi.waitFor(() => redis.command(['SET', 'a', '1']), soon)
  })
  afterEach(async () => {
    await redis.close()
    await proxy[Symbol.asyncDispose]()
    await server[Symbol.asyncDispose]()
    process.off('unhandledRejection', note)
    if (unhandled.length > 0) throw new AggregateError(unhandled, 'rejections that nobody handled')
  })

  interface Outcome {
    readonly code: string
    readonly tookMs: number
    readonly ranMs: number
  }

  async function outcome(args: readonly string[] = ['GET', 'a'], options?: { deadlineMs: number }): Promise<Outcome> {
    const { value, ...times } = await timed(() =>
      redis.command(args, options).then(
        () => 'ok',
        (error: { code: string }) => error.code,
      ),
    )
    return { code: value, ...times }
  }

  /** One that takes no silence of a busy machine for a loss. */
  const steadily = (): Redis =>
    createRedis({ url: `redis://127.0.0.1:${proxy.port}`, deadlineMs: 20_000, connectMs: 20_000 })

  const recovered = (): Promise<void> => vi.waitFor(async () => expect((await outcome()).code).toBe('ok'), soon)

  it('costs the first callers a deadline and the next ones nothing when the server is stopped', async () => {
    server.pause()
    const first = await Promise.all(Array.from({ length: 50 }, () => outcome()))
    for (const { code, tookMs, ranMs } of first) {
      expect(code).toBe('redis.timeout')
      expect(tookMs).toBeGreaterThan(deadlineMs * 0.8)
      expect(ranMs).toBeLessThan(deadlineMs + graceMs)
    }
    for (const { code, ranMs } of await Promise.all(Array.from({ length: 50 }, () => outcome()))) {
      expect(code).toBe('redis.unavailable')
      expect(ranMs).toBeLessThan(graceMs)
    }
    // Attempts to connect hang meanwhile: the kernel accepts for the stopped process.
    await new Promise((done) => setTimeout(done, 700))
    expect((await outcome()).code).toBe('redis.unavailable')
    server.resume()
    await recovered()
  })

  it('keeps the deadline of a single command without giving the connection up', async () => {
    proxy.set({ kind: 'slow', delayMs: 60 })
    const { code, ranMs } = await outcome(['GET', 'a'], { deadlineMs: 30 })
    expect(code).toBe('redis.timeout')
    expect(ranMs).toBeLessThan(30 + graceMs)
    expect((await outcome(['GET', 'a'], patient)).code).toBe('ok')
    expect(redis.state).toBe('ready')
  })

  it('waits longer for a command that may take longer, and for what was sent behind it', async () => {
    const slow = outcome(['EVAL', 'local n = 0 while n < tonumber(ARGV[1]) do n = n + 1 end return n', '0', '1'], {
      deadlineMs: 10_000,
    })
    proxy.set({ kind: 'slow', delayMs: 2 * deadlineMs })
    const behind = outcome(['GET', 'a'], { deadlineMs: 9000 })
    expect([(await slow).code, (await behind).code]).toEqual(['ok', 'ok'])
    expect(redis.state).toBe('ready')
  })

  it('notices a network that swallows everything, and comes back when it does not', async () => {
    proxy.set({ kind: 'blackhole' })
    const { code, ranMs } = await outcome()
    expect(code).toBe('redis.timeout')
    expect(ranMs).toBeLessThan(deadlineMs + graceMs)
    expect((await outcome()).code).toBe('redis.unavailable')
    proxy.set({ kind: 'open' })
    await recovered()
  })

  it('fails what is in flight when the network is cut, and refuses at once from then on', async () => {
    proxy.set({ kind: 'slow', delayMs: 100 })
    const inFlight = outcome()
    await new Promise((done) => setTimeout(done, 20))
    proxy.set({ kind: 'cut' })
    expect((await inFlight).code).toBe('redis.unavailable')
    const { code, ranMs } = await outcome()
    expect(code).toBe('redis.unavailable')
    expect(ranMs).toBeLessThan(graceMs)
    proxy.set({ kind: 'open' })
    await recovered()
  })

  it('comes back after a crash and a restart, with its scripts and subscriptions', async () => {
    const heard: string[] = []
    const states: string[] = []
    const steady = steadily()
    await steady.subscribe(
      'news',
      (message) => heard.push(message),
      (state) => states.push(state),
    )
    const keys: string[] = []
    await steady.track(
      ['a'],
      (changed) => keys.push(...(changed ?? ['all'])),
      (state) => states.push(`track ${state}`),
    )
    await server.kill()
    await vi.waitFor(() => expect(states.toSorted()).toEqual(['lost', 'track lost']), soon)
    await server.start()
    await vi.waitFor(async () => expect(await steady.command(['GET', 'a'])).toBe(null), soon)
    await vi.waitFor(
      () => expect(states.toSorted()).toEqual(['lost', 'restored', 'track lost', 'track restored']),
      soon,
    )
    await server.admin('PUBLISH', 'news', 'back')
    await server.admin('SET', 'a', '2')
    await vi.waitFor(() => expect([heard, keys]).toEqual([['back'], ['a']]), soon)
    await steady.close()
  })

  it('replaces a subscription that has gone silent', async () => {
    const heard: string[] = []
    const states: string[] = []
    await redis.subscribe(
      'news',
      (message) => heard.push(message),
      (state) => states.push(state),
    )
    proxy.set({ kind: 'blackhole' })
    await vi.waitFor(() => expect(states).toContain('lost'), soon)
    proxy.set({ kind: 'open' })
    await vi.waitFor(() => expect(states.at(-1)).toBe('restored'), soon)
    await recovered()
    // A server that stands still for a second has gone silent once more: what is said meanwhile is lost.
    await vi.waitFor(async () => {
      await server.admin('PUBLISH', 'news', 'again')
      expect(heard).toContain('again')
    }, soon)
    expect(states.slice(0, 2)).toEqual(['lost', 'restored'])
  })

  it('subscribes to a server that is away as soon as it is there', async () => {
    await server.kill()
    const heard: string[] = []
    const states: string[] = []
    const steady = steadily()
    await steady.subscribe(
      'news',
      (message) => heard.push(message),
      (state) => states.push(state),
    )
    expect(states).toEqual(['lost'])
    await server.start()
    await vi.waitFor(() => expect(states).toEqual(['lost', 'restored']), soon)
    await server.admin('PUBLISH', 'news', 'first')
    await vi.waitFor(() => expect(heard).toEqual(['first']), soon)
    await steady.close()
  })

  it('tells who tracks keys that all of them are gone', async () => {
    const heard: (readonly string[] | null)[] = []
    await redis.track(['a'], (keys) => heard.push(keys))
    await server.admin('FLUSHALL')
    await vi.waitFor(() => expect(heard).toContain(null), soon)
  })

  it('says that a replica takes no writes, still reads, and follows a promotion', async () => {
    await server.admin('REPLICAOF', '127.0.0.1', '1')
    expect((await outcome(['SET', 'a', '2'], patient)).code).toBe('redis.read_only')
    await recovered()
    await server.admin('REPLICAOF', 'NO', 'ONE')
    expect((await outcome(['SET', 'a', '2'], patient)).code).toBe('ok')
  })

  it('says that memory is full, still reads, and writes again when there is room', async () => {
    await server.admin('CONFIG', 'SET', 'maxmemory', '1mb')
    expect((await outcome(['SET', 'big', 'x'.repeat(2_000_000)], patient)).code).toBe('redis.out_of_memory')
    const { code } = await outcome(['EVAL', `return redis.call('SET', KEYS[1], 'x')`, '1', 'b'], patient)
    expect(code).toBe('redis.out_of_memory')
    expect((await outcome(['GET', 'a'], patient)).code).toBe('ok')
    await server.admin('CONFIG', 'SET', 'maxmemory', '0')
    expect((await outcome(['SET', 'a', '2'], patient)).code).toBe('ok')
  })

  it('keeps its deadline on a live client too, leaves that alone, and goes on with it', async () => {
    const client = createClient({ url: server.url })
    client.on('error', () => {})
    await client.connect()
    const over = createRedis(client as never, { deadlineMs, connectMs: 2000 })
    await vi.waitFor(async () => expect(await over.command(['GET', 'a'])).toBe('1'), soon)
    server.pause()
    const { ranMs } = await timed(() =>
      expect(over.command(['GET', 'a'])).rejects.toMatchObject({ code: 'redis.timeout' }),
    )
    expect(ranMs).toBeLessThan(deadlineMs + graceMs)
    await expect(over.command(['GET', 'a'])).rejects.toMatchObject({ code: 'redis.unavailable' })
    server.resume()
    await vi.waitFor(async () => expect(await over.command(['GET', 'a'])).toBe('1'), soon)
    expect(client.isReady).toBe(true)
    await server.kill()
    await expect(over.command(['GET', 'a'])).rejects.toMatchObject({ code: 'redis.unavailable' })
    await server.start()
    await vi.waitFor(async () => expect(await over.command(['GET', 'a'])).toBe(null), soon)
    await over.close()
    client.destroy()
  })

  it('keeps its deadline in a cluster whose node hangs, and recovers', async () => {
    await using node = await startRedis({ args: ['--cluster-enabled', 'yes'] })
    await node.admin('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
    await vi.waitUntil(async () => (await node.admin('CLUSTER', 'INFO')).includes('cluster_state:ok'), soon)
    const over = createRedis({ url: [node.url, node.url], deadlineMs })
    await vi.waitFor(() => over.command(['SET', 'a', '1']), soon)
    node.pause()
    const { value: outcomes, ranMs } = await timed(() =>
      Promise.allSettled(Array.from({ length: 20 }, () => over.command(['GET', 'a']))),
    )
    expect(ranMs).toBeLessThan(deadlineMs + graceMs)
    for (const each of outcomes) expect(each).toMatchObject({ reason: { code: 'redis.timeout' } })
    node.resume()
    await vi.waitFor(async () => expect(await over.command(['GET', 'a'])).toBe('1'), soon)
    await over.close()
  })

  it('starts without a server and finds it later', async () => {
    await server.kill()
    const early = createRedis({ url: server.url, deadlineMs })
    const error = await early.command(['PING']).catch((caught: unknown) => caught)
    expect(error).toMatchObject({ code: 'redis.unavailable', status: 503 })
    await server.start()
    await vi.waitFor(async () => expect(await early.command(['PING'])).toBe('PONG'), soon)
    await early.close()
  })

  it('closes while the server is away, hung, or being connected to', async () => {
    const hung = createRedis({ url: server.url, deadlineMs })
    server.pause()
    await hung.close()
    await redis.close()
    expect(redis.state).toBe('closed')
    server.resume()
  })
})
