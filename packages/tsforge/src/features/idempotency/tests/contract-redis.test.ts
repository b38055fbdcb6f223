import { setImmediate as turn } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createFakeClock } from '../../../testing/clock.ts'
import { hasRedis, startRedis } from '../../../testing/redis-server.ts'
import type { RedisServer } from '../../../testing/redis-server.ts'
import { createRedis } from '../../../primitives/redis/index.ts'
import type { Redis } from '../../../primitives/redis/index.ts'
import { createContext } from '../../../kernel/context.ts'
import type { Answer } from '../answer.ts'
import { idempotencyContract } from '../contract.ts'
import { redis } from '../drivers/redis.ts'
import type { KeyedRequest, Outcome } from '../idempotency.ts'
import { desk } from './setup.ts'

describe.runIf(hasRedis)('redis', () => {
  let server: RedisServer
  const open: Redis[] = []
  /** Patient, since a busy machine proves nothing. */
  const connect = (deadlineMs = 20_000): Redis => {
    const connection = createRedis({ url: server.url, deadlineMs, connectMs: 20_000 })
    open.push(connection)
    return connection
  }
  beforeAll(async () => {
    server = await startRedis()
  }, 20_000)
  afterAll(async () => {
    await Promise.all(open.map((connection) => connection.close()))
    await server[Symbol.asyncDispose]()
  })

  /** As if `ms` had passed: all leases and times to live are that much shorter. */
  const elapse = async (connection: Redis, ms: number): Promise<void> => {
    for (const key of (await connection.command(['KEYS', '*forge:idempotency:*'])) as string[]) {
      await connection.command(['HINCRBY', key, 'l', String(-ms)])
      const left = Number(await connection.command(['PTTL', key])) - ms
      await connection.command(['PEXPIRE', key, String(left)])
    }
  }

  idempotencyContract({
    name: 'redis',
    create: () => {
      const connection = connect()
      return {
        driver: redis(connection, { prefix: 'app' }),
        second: redis(connect(), { prefix: 'app' }),
        elapse: (ms) => elapse(connection, ms),
        close: async () => {},
      }
    },
  })

  const request = (key: string): KeyedRequest => ({
    tenantId: null,
    principal: 'user:1',
    key,
    fingerprint: 'a',
    operation: 'POST /',
    context: createContext({ requestId: 'r' }),
  })
  const answer: Answer = { status: 201, headers: [], body: 'a' }

  it('keeps apps apart that share a server', async () => {
    const connection = connect()
    const claim = { token: 't', request: 'r', leaseMs: 1_000, ttlMs: 10_000 }
    for (const prefix of ['one', 'two'])
      expect(await redis(connection, { prefix }).claim('id', claim)).toEqual({ state: 'claimed' })
  })

  it('refuses requests with a key while the server is gone, read-only or full, and goes on by itself after it', async () => {
    const service = desk({ driver: redis(connect(2_000)), clock: createFakeClock(), options: { waitMs: 0 } })
    const ask = (key: string) => service.once(request(key), async () => answer)
    const refused = { code: 'idempotency.unavailable', status: 503 }
    const recovered = async (key: string): Promise<Outcome> => {
      for (;;) {
        const outcome = await ask(key).catch(() => undefined)
        if (outcome !== undefined) return outcome
        await turn()
      }
    }
    await ask('before')

    await server.admin('CONFIG', 'SET', 'maxmemory', '1')
    await expect(ask('full')).rejects.toMatchObject(refused)
    await server.admin('CONFIG', 'SET', 'maxmemory', '0')
    expect((await recovered('full')).source).toBe('executed')

    await server.admin('REPLICAOF', '127.0.0.1', '1')
    await expect(ask('read-only')).rejects.toMatchObject(refused)
    await server.admin('REPLICAOF', 'NO', 'ONE')
    expect((await recovered('read-only')).source).toBe('executed')

    server.pause()
    await expect(ask('hung')).rejects.toMatchObject(refused)
    server.resume()

    await server.kill()
    await expect(ask('dead')).rejects.toMatchObject(refused)
    await server.start()
    expect((await recovered('back')).source).toBe('executed')
    expect((await ask('back')).source).toBe('replayed')
  })
})
