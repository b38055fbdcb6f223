import { createClient, createCluster } from 'redis'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { createFakeClock } from '../../../testing/clock.ts'
import { hasRedis, startRedis } from '../../../testing/redis-server.ts'
import type { RedisServer } from '../../../testing/redis-server.ts'
import { redisContract } from '../contract.ts'
import { createRedis } from '../create-redis.ts'
import { nodeRedis } from '../drivers/node-redis.ts'
import { liveRedis } from '../drivers/node-redis/live.ts'
import { defineScript } from '../script.ts'

/** How long a busy machine may take; nothing waits for it. */
const connectMs = 20_000
const patient = { deadlineMs: 20_000, connectMs }

describe.runIf(hasRedis)('node-redis', () => {
  let plain: RedisServer
  let guarded: RedisServer
  let cluster: RedisServer
  const closing: (() => void)[] = []

  beforeAll(async () => {
    plain = await startRedis()
    guarded = await startRedis({ args: ['--requirepass', 'p@ss:word/1'] })
    cluster = await startRedis({ args: ['--cluster-enabled', 'yes'] })
    await cluster.admin('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
    await vi.waitUntil(async () => (await cluster.admin('CLUSTER', 'INFO')).includes('cluster_state:ok'), {
      timeout: connectMs,
    })
  })
  afterAll(async () => {
    for (const close of closing) close()
    for (const server of [plain, guarded, cluster]) await server[Symbol.asyncDispose]()
  })

  redisContract({ name: 'one server', create: () => nodeRedis({ urls: [plain.url], connectMs }) })
  redisContract({
    name: 'password and database in the URL',
    create: () =>
      nodeRedis({
        urls: [`redis://default:${encodeURIComponent('p@ss:word/1')}@127.0.0.1:${guarded.port}/3`],
        name: 'forge-contract',
        connectMs,
      }),
  })
  redisContract({ name: 'cluster', create: () => nodeRedis({ urls: [cluster.url, cluster.url], connectMs }) })
  redisContract({
    name: 'a live client, with a timeout and types of its own',
    create: async () => {
      const client = createClient({
        url: plain.url,
        commandOptions: { timeout: 100, typeMapping: { 36: Buffer } },
        RESP: 2,
      })
      client.on('error', () => {})
      await client.connect()
      closing.push(() => client.destroy())
      return liveRedis(client as never)
    },
  })
  redisContract({
    name: 'a live cluster client',
    create: async () => {
      const client = createCluster({ rootNodes: [{ url: cluster.url }], RESP: 2 })
      client.on('error', () => {})
      await client.connect()
      closing.push(() => client.destroy())
      return liveRedis(client as never)
    },
  })

  it('leaves a client that it was given open', async () => {
    const client = createClient({ url: plain.url })
    client.on('error', () => {})
    await client.connect()
    const redis = createRedis(client as never, patient)
    await redis.command(['SET', 'live', '1'])
    await redis.subscribe('live', () => {})
    await redis.close()
    expect(await client.get('live')).toBe('1')
    client.destroy()
  })

  it('answers what was asked while it connected as soon as it has, though the clock stands still', async () => {
    const redis = createRedis({ url: plain.url, clock: createFakeClock() })
    expect(redis.state).toBe('connecting')
    const heard = Promise.withResolvers<string>()
    const [pong] = await Promise.all([
      redis.command(['PING']),
      redis.script(defineScript('one', 0, 'return 1'), [], []),
      redis.subscribe('stopped', heard.resolve),
      redis.track(['stopped:'], () => {}),
    ])
    expect([pong, redis.state]).toEqual(['PONG', 'ready'])
    await redis.command(['PUBLISH', 'stopped', 'hello'])
    expect(await heard.promise).toBe('hello')
    await redis.close()
  })

  it('names its connections and closes all of them', async () => {
    const redis = createRedis({ url: plain.url, name: 'forge-names', ...patient })
    await redis.subscribe('x', () => {})
    await redis.track(['x'], () => {})
    const mine = async (): Promise<number> => (await plain.admin('CLIENT', 'LIST')).split('name=forge-names').length - 1
    expect(await mine()).toBe(3)
    await redis.close()
    await expect.poll(mine).toBe(0)
  })

  it('tells a wrong password from a server that is away', async () => {
    const redis = createRedis({ url: `redis://:wrong@127.0.0.1:${guarded.port}`, ...patient })
    const error = await redis.command(['PING']).catch((caught: unknown) => caught)
    expect(error).toMatchObject({ code: 'redis.command', cause: { message: expect.stringContaining('WRONGPASS') } })
    await redis.close()
  })
})
