import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { hasRedis, startRedis } from '../../../testing/redis-server.ts'
import type { RedisServer } from '../../../testing/redis-server.ts'
import { startTcpProxy } from '../../../testing/tcp-proxy.ts'
import type { TcpProxy } from '../../../testing/tcp-proxy.ts'
import { createRedis } from '../../redis/index.ts'
import type { Redis } from '../../redis/index.ts'
import { createRatelimit } from '../create-ratelimit.ts'
import { leased } from '../drivers/leased.ts'
import { redis } from '../drivers/redis.ts'
import type { Limit, LossPolicy, Ratelimit } from '../ratelimit.ts'

/** A policy holds within so long. On a machine that is busy a timer of as long is late, and the answer may be as late. */
const promisedMs = 50
const graceMs = 20
/** How long a busy machine may take; nothing waits for it. */
const soon = { timeout: 20_000, interval: 20 }

interface Fault {
  readonly name: string
  begin(server: RedisServer, proxy: TcpProxy): unknown
  end(server: RedisServer, proxy: TcpProxy): unknown
}

const faults: readonly Fault[] = [
  { name: 'stopped', begin: (server) => server.pause(), end: (server) => server.resume() },
  { name: 'cut off', begin: (_, proxy) => proxy.set({ kind: 'cut' }), end: (_, proxy) => proxy.set({ kind: 'open' }) },
  {
    name: 'swallowed by the network',
    begin: (_, proxy) => proxy.set({ kind: 'blackhole' }),
    end: (_, proxy) => proxy.set({ kind: 'open' }),
  },
  {
    name: 'slow',
    begin: (_, proxy) => proxy.set({ kind: 'slow', delayMs: 300 }),
    end: (_, proxy) => proxy.set({ kind: 'open' }),
  },
  {
    name: 'read-only',
    begin: (server) => server.admin('REPLICAOF', '127.0.0.1', '1'),
    end: (server) => server.admin('REPLICAOF', 'NO', 'ONE'),
  },
  {
    name: 'full',
    begin: (server) => server.admin('CONFIG', 'SET', 'maxmemory', '1'),
    end: (server) => server.admin('CONFIG', 'SET', 'maxmemory', '0'),
  },
  { name: 'killed and started again', begin: (server) => server.kill(), end: (server) => server.start() },
]

describe.runIf(hasRedis)('limits on a Redis that is', () => {
  let server: RedisServer
  let proxy: TcpProxy
  let connection: Redis
  let limits: Ratelimit
  let limit: (policy: LossPolicy) => Limit
  const unhandled: unknown[] = []
  const note = (reason: unknown): void => void unhandled.push(reason)

  beforeEach(async () => {
    process.on('unhandledRejection', note)
    server = await startRedis()
    proxy = await startTcpProxy(server.port)
    connection = createRedis({ url: `redis://127.0.0.1:${proxy.port}` })
    await vi.waitFor(() => connection.command(['PING']), soon)
  })
  afterEach(async () => {
    await limits.close()
    await connection.close()
    await proxy[Symbol.asyncDispose]()
    await server[Symbol.asyncDispose]()
    process.off('unhandledRejection', note)
    if (unhandled.length > 0) throw new AggregateError(unhandled.splice(0), 'rejections that nobody handled')
  })

  for (const kind of ['exact', 'leased'] as const) {
    for (const fault of faults) {
      it(`${fault.name} (${kind}) follow their policies at once, and the store again when it is back`, async () => {
        const driver = redis(connection)
        limits = createRatelimit(kind === 'exact' ? driver : leased(driver), { replicas: 2 })
        limit = (whenLost) => limits.limit({ name: `${kind}-${whenLost}`, limit: 100, window: '1h', whenLost })
        const ask = async (policy: LossPolicy, key: string): Promise<{ verdict: string; lateMs: number }> => {
          const promised = new Promise<number>((done) => setTimeout(() => done(performance.now()), promisedMs))
          const { allowed, lost } = await limit(policy).take(key)
          const answered = performance.now()
          return {
            verdict: `${allowed ? 'allowed' : 'refused'}${lost ? ' by policy' : ''}`,
            lateMs: answered - (await promised),
          }
        }
        await vi.waitFor(async () => expect((await ask('open', 'before')).verdict).toBe('allowed'), soon)

        // In mid-run: calls are in flight when it happens.
        const running = Array.from({ length: 20 }, (_, index) => ask('open', `running ${index}`))
        await fault.begin(server, proxy)
        for (const { lateMs } of await Promise.all(running)) expect(lateMs).toBeLessThan(graceMs)
        await vi.waitFor(async () => {
          expect((await ask('open', `notice ${performance.now()}`)).verdict).toBe('allowed by policy')
        }, soon)
        const during = await Promise.all(
          (['open', 'closed', 'local'] as const).map((policy) => ask(policy, `during ${policy}`)),
        )
        expect(during.map(({ verdict }) => verdict)).toEqual([
          'allowed by policy',
          'refused by policy',
          'allowed by policy',
        ])
        for (const { lateMs } of during) expect(lateMs).toBeLessThan(graceMs)
        // A dead store costs nothing: these answers are not even promises.
        for (let call = 0; call < 200; call++) expect(limit('closed').take('nobody')).not.toBeInstanceOf(Promise)

        await fault.end(server, proxy)
        await vi.waitFor(
          async () => expect((await ask('closed', `after ${performance.now()}`)).verdict).toBe('allowed'),
          soon,
        )
        expect(limits.lost).toBe(false)
      })
    }
  }
})
