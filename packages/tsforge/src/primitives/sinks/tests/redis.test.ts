import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createClient } from 'redis'
import { hasRedis, startRedis } from '../../../testing/redis-server.ts'
import type { RedisServer } from '../../../testing/redis-server.ts'
import { createRedis } from '../../redis/index.ts'
import type { Redis } from '../../redis/index.ts'
import { loggedEvent, sinkContract } from '../contract.ts'
import type { StoredMessage } from '../contract.ts'
import { createSink } from '../create-sink.ts'
import { redis } from '../drivers/redis.ts'
import type { SinkError } from '../errors.ts'

const never = new AbortController().signal
/** Of a server that is well, on a machine that may be busy. */
const patient = { connectMs: 20_000, deadlineMs: 20_000 }
const durable = ['--appendonly', 'yes', '--appendfsync', 'always']

async function entriesOf(client: Redis, stream: string): Promise<StoredMessage[]> {
  const reply = (await client.command(['XRANGE', stream, '-', '+'])) as [string, string[]][]
  return reply.map(([, list]) => {
    const fields = new Map(list.flatMap((name, at) => (at % 2 === 0 ? [[name, list[at + 1]!] as const] : [])))
    const attributes = Object.fromEntries(
      [...fields].flatMap(([name, value]) => (name.startsWith('ce_') ? [[name.slice(3), value]] : [])),
    )
    const id = fields.get('id') ?? fields.get('ce_id')!
    return { id, to: stream, attributes, body: fields.get('event') ?? fields.get('data')! }
  })
}

describe.runIf(hasRedis)('redis', () => {
  sinkContract({
    name: 'redis',
    create: async () => {
      const server = await startRedis({ args: durable })
      const reader = createRedis({ url: server.url, ...patient })
      await reader.command(['SET', 'refused', 'no stream'])
      return {
        driver: () => redis({ url: server.url, ...patient }),
        addresses: ['orders', 'others'],
        refused: 'refused',
        stored: async () => {
          await reader.command(['PING']).catch(() => undefined)
          while (reader.state !== 'ready') await new Promise((wait) => setTimeout(wait, 10))
          return [...(await entriesOf(reader, 'orders')), ...(await entriesOf(reader, 'others'))]
        },
        crash: { kill: () => server.kill(), start: () => server.start() },
        async [Symbol.asyncDispose]() {
          await reader.close()
          await server[Symbol.asyncDispose]()
        },
      }
    },
  })

  describe('a stream', () => {
    let server: RedisServer
    let reader: Redis
    beforeAll(async () => {
      server = await startRedis()
      reader = createRedis({ url: server.url, ...patient })
    })
    afterAll(async () => {
      await reader.close()
      await server[Symbol.asyncDispose]()
    })

    it('keeps about as many entries as it is told', async () => {
      const sink = createSink(redis({ redis: reader, maxLength: 100 }), { to: 'short' })
      const batch = Array.from({ length: 1000 }, () => loggedEvent())
      await sink.publish(batch, never)
      const kept = await entriesOf(reader, 'short')
      expect(kept.length).toBeLessThan(300)
      expect(kept.at(-1)!.id).toBe(batch.at(-1)!.id)
      await sink.close()
      // What was handed in stays open.
      expect(await reader.command(['PING'])).toBe('PONG')
    })

    it('is written over a client of the package, which stays open', async () => {
      const client = createClient({ url: server.url })
      client.on('error', () => undefined)
      await client.connect()
      const sink = createSink(redis({ redis: client as never }), { to: 'live' })
      await sink.publish([loggedEvent()], never)
      await sink.close()
      expect(await client.xLen('live')).toBe(1)
      client.destroy()
    })

    it('gets nothing behind the part of a large batch that failed', async () => {
      let calls = 0
      const flaky: Redis = Object.create(reader, {
        script: {
          value: (...args: Parameters<Redis['script']>) => {
            calls += 1
            return calls === 2 ? Promise.reject(new Error('lost')) : reader.script(...args)
          },
        },
      }) as Redis
      const sink = createSink(redis({ redis: flaky }), { to: 'parts' })
      const batch = Array.from({ length: 200 }, () => loggedEvent({ partitionkey: 'a' }))
      const error = (await sink.publish(batch, never).catch((fault: unknown) => fault)) as SinkError
      const stored = (await entriesOf(reader, 'parts')).map(({ id }) => id)
      expect(stored.length).toBeGreaterThan(0)
      expect([...stored, ...error.unconfirmed]).toEqual(batch.map(({ id }) => id))
    })

    it('has all events of a batch or none when the memory is used up', async () => {
      const batch = Array.from({ length: 20 }, () => loggedEvent({ partitionkey: 'a' }))
      const sink = createSink(redis({ redis: reader }), { to: 'full' })
      await server.admin('CONFIG', 'SET', 'maxmemory', '1')
      const error = (await sink.publish(batch, never).catch((fault: unknown) => fault)) as SinkError
      await server.admin('CONFIG', 'SET', 'maxmemory', '0')
      expect(error).toMatchObject({ code: 'sinks.unconfirmed', cause: { code: 'redis.out_of_memory' } })
      expect(error.unconfirmed).toHaveLength(20)
      expect(await reader.command(['EXISTS', 'full'])).toBe(0)
      await sink.publish(batch, never)
      expect(await entriesOf(reader, 'full')).toHaveLength(20)
    })
  })
})
