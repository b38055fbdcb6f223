import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { systemClock } from '../../kernel/clock.ts'
import { silentLog } from '../../kernel/log.ts'
import { RedisClient } from './client.ts'
import type { RedisDriver } from './driver.ts'
import type { Redis } from './redis.ts'
import { defineScript } from './script.ts'

export interface RedisContract {
  readonly name: string
  /** A driver of a server where the contract may write keys and channels that begin `contract:`. */
  create(): RedisDriver | Promise<RedisDriver>
}

/** How long a busy machine may take; nothing waits for it. */
const soon = { timeout: 20_000 }

const echo = defineScript('echo', 1, `return {KEYS[1], ARGV[1], 7, false, redis.call('GET', KEYS[1])}`)

/** The exam of a Redis driver, and of the facade over it. Call it in a vitest file of your own. */
export function redisContract({ name, create }: RedisContract): void {
  describe(`redis contract: ${name}`, () => {
    let driver: RedisDriver
    let redis: Redis
    const connect = (): Redis =>
      new RedisClient(driver, {
        deadlineMs: soon.timeout,
        connectMs: soon.timeout,
        clock: systemClock,
        metrics: undefined,
        log: silentLog,
        onEvent: () => {},
      })
    const code = (work: Promise<unknown>): Promise<unknown> =>
      work.then(
        () => undefined,
        (error: { code?: unknown }) => error.code ?? error,
      )

    beforeAll(async () => {
      driver = await create()
      redis = connect()
      await redis.command(['DEL', 'contract:a'])
    }, 30_000)
    afterAll(() => redis.close())

    it('answers the very first command, which waits for the connection', async () => {
      const fresh = connect()
      expect(fresh.state).toBe('connecting')
      expect(await fresh.command(['PING'])).toBe('PONG')
      expect(fresh.state).toBe('ready')
      await fresh.close()
      expect(fresh.state).toBe('closed')
    })

    it('gives text, integers, nil and lists, and bytes where bytes are asked for', async () => {
      const raw = Buffer.from([0, 255, 13, 10, 36])
      expect(await redis.command(['SET', 'contract:a', raw])).toBe('OK')
      expect(await redis.command(['GET', 'contract:a'], { buffers: true })).toEqual(raw)
      expect(await redis.command(['STRLEN', 'contract:a'])).toBe(5)
      expect(await redis.command(['GET', 'contract:none'])).toBe(null)
      expect(await redis.command(['MGET', 'contract:none'])).toEqual([null])
      await redis.command(['DEL', 'contract:a'])
      await redis.command(['HSET', 'contract:a', 'field', 'välue'])
      expect(await redis.command(['HGETALL', 'contract:a'])).toEqual(['field', 'välue'])
    })

    it('answers many commands at once, each with its own reply', async () => {
      const sent = Array.from({ length: 500 }, (_, n) => String(n))
      expect(await Promise.all(sent.map((n) => redis.script(echo, [`contract:${n}`], [n])))).toEqual(
        sent.map((n) => [`contract:${n}`, n, 7, null, null]),
      )
    })

    it('loads a script that the server has forgotten', async () => {
      await redis.script(echo, ['contract:a1'], ['x'])
      await redis.command(['SCRIPT', 'FLUSH'])
      expect(await redis.script(echo, ['contract:a1'], ['y'])).toEqual(['contract:a1', 'y', 7, null, null])
    })

    it('tells what the server refused, and goes on', async () => {
      await redis.command(['SET', 'contract:text', 'x'])
      expect(await code(redis.command(['LPUSH', 'contract:text', 'y']))).toBe('redis.command')
      expect(await code(redis.script(defineScript('bad', 1, 'return redis.call("NOPE")'), ['contract:a'], []))).toBe(
        'redis.command',
      )
      expect(await redis.command(['GET', 'contract:text'])).toBe('x')
    })

    it('refuses what cannot be sent without harm to the connection', async () => {
      expect(await code(redis.command(['SET', 'contract:a', undefined as never]))).toBeDefined()
      expect(await redis.command(['PING'])).toBe('PONG')
    })

    it('hands messages to each subscriber of a channel until it leaves', async () => {
      const heard: string[] = []
      const first = await redis.subscribe('contract:news', (message) => heard.push(`1 ${message}`))
      const second = await redis.subscribe('contract:news', (message) => heard.push(`2 ${message}`))
      const other = await redis.subscribe('contract:other', (message) => heard.push(`3 ${message}`))
      await redis.command(['PUBLISH', 'contract:news', 'a'])
      await vi.waitFor(() => expect(heard.toSorted()).toEqual(['1 a', '2 a']), soon)
      await first()
      await redis.command(['PUBLISH', 'contract:news', 'b'])
      await redis.command(['PUBLISH', 'contract:other', 'c'])
      await vi.waitFor(() => expect(heard.toSorted()).toEqual(['1 a', '2 a', '2 b', '3 c']), soon)
      await second()
      await other()
      const again = await redis.subscribe('contract:news', (message) => heard.push(`4 ${message}`))
      await redis.command(['PUBLISH', 'contract:news', 'd'])
      await vi.waitFor(() => expect(heard).toContain('4 d'), soon)
      await again()
    })

    it('survives a listener that throws', async () => {
      const heard: string[] = []
      const bad = await redis.subscribe('contract:bad', () => {
        throw new Error('no')
      })
      const good = await redis.subscribe('contract:bad', (message) => heard.push(message))
      await redis.command(['PUBLISH', 'contract:bad', 'a'])
      await redis.command(['PUBLISH', 'contract:bad', 'b'])
      await vi.waitFor(() => expect(heard).toEqual(['a', 'b']), soon)
      await bad()
      await good()
    })

    it('tells which keys of a prefix were changed, or refuses to', async () => {
      const heard: string[] = []
      const tracking = redis.track(['contract:t1:', 'contract:t2:'], (keys) => heard.push(...(keys ?? ['all'])))
      if (driver.cluster) return expect(await code(tracking)).toBe('redis.tracking_unsupported')
      const stop = await tracking
      await redis.command(['SET', 'contract:t1:a', 'x'])
      await redis.command(['SET', 'contract:elsewhere', 'x'])
      await redis.command(['SET', 'contract:t2:ü', 'x', 'PX', '1'])
      await vi.waitFor(() => expect(new Set(heard)).toEqual(new Set(['contract:t1:a', 'contract:t2:ü'])), soon)
      await stop()
    })

    it('refuses everything once it is closed', async () => {
      const fresh = connect()
      await fresh.command(['PING'])
      const inFlight = code(fresh.command(['GET', 'contract:none']))
      await fresh.close()
      expect([undefined, 'redis.unavailable']).toContain(await inFlight)
      expect(await code(fresh.command(['PING']))).toBe('redis.unavailable')
      expect(await code(fresh.subscribe('contract:x', () => {}))).toBe('redis.unavailable')
      expect(await code(fresh.track(['contract:'], () => {}))).toBe('redis.unavailable')
      await fresh.close()
    })
  })
}
