/** Hot values per second of our cache against bentocache and lru-cache in memory, and of two tiers against a bare Redis client. */
import { deepStrictEqual } from 'node:assert'
import { BentoCache, bentostore } from 'bentocache'
import { memoryDriver } from 'bentocache/drivers/memory'
import { LRUCache } from 'lru-cache'
import { createClient } from 'redis'
import { createCache } from 'tsforge/cache'
import { memory } from 'tsforge/cache/memory'
import { redis, redisTracking } from 'tsforge/cache/redis'
import { tiered } from 'tsforge/cache/tiered'
import { createMetrics } from 'tsforge/metrics'
import { createRedis } from 'tsforge/redis'
import type { Bench, Settings } from './bench.ts'
import { openRedis } from './redis.ts'
import { claim } from './statistics.ts'
import type { Claim } from './statistics.ts'

/** What is hot: with 10,000 the memory of the machine would be measured, and with it what else runs there. */
const entries = 1000
const ttlMs = 600_000

interface Profile {
  readonly id: string
  readonly name: string
  readonly email: string
  readonly roles: readonly string[]
  readonly about: string
}

/** About 240 bytes as JSON. */
function profile(key: string): Profile {
  return {
    id: key,
    name: 'Ada Lovelace',
    email: `${key}@example.com`,
    roles: ['admin', 'member'],
    about: 'x'.repeat(120),
  }
}

const keys = Array.from({ length: entries }, (_, index) => `user:${index}:profile`)

/** Keys in the order in which they are asked for: some much more often than others; the same in each run. */
const asked = Array.from({ length: 2 ** 16 }, (_, index) => {
  const even = ((index * 2654435761) % 4294967296) / 4294967296
  return keys[Math.floor(entries * even ** 3)]!
})

type Read = (key: string) => Profile | Promise<Profile>

interface Contestant {
  readonly name: string
  readonly read: Read
  readonly per: Per
  close?(): unknown
}

/** What a rate is per: a second of this process's processors, or of the clock on the wall. */
type Per = 'processor' | 'wall'

/**
 * Values per second of one reader, for `seconds`. Who only reads memory never waits, so that processor time is all that
 * counts, and what else the machine does is left out. A value that is there at once is not awaited, as a caller does
 * who looks; `awaited`: as one who does not.
 */
async function rate(read: Read, seconds: number, per: Per, awaited: boolean): Promise<number> {
  const begun = performance.now()
  const before = process.cpuUsage()
  const end = begun + seconds * 1000
  let done = 0
  let length = 0
  while (performance.now() < end) {
    for (let turn = 0; turn < 2048; turn++) {
      const answer = read(asked[done++ & 0xffff]!)
      length += (awaited || answer instanceof Promise ? await answer : answer).id.length
    }
    // Timers and sockets get their turn, for all alike.
    await new Promise(setImmediate)
  }
  if (length === 0) throw new Error('nothing was read')
  const { user, system } = process.cpuUsage(before)
  return (done * 1000) / (per === 'processor' ? (user + system) / 1000 : performance.now() - begun)
}

/** Ours as an app has it: counted, with a loader. */
function ours(): Contestant {
  const cache = createCache<Profile>(memory(), { ttl: ttlMs, metrics: createMetrics() })
  const load = async ({ key }: { key: string }): Promise<Profile> => profile(key)
  return { name: 'ours', per: 'processor', read: (key) => cache.getOrSet(key, load), close: () => cache.close() }
}

/** As references, like ours; its default is to serialize every value. Neither locks nor time limits cost it anything. */
function bento(name: string, options: { readonly grace?: '1h' }): Contestant {
  const cache = new BentoCache({
    default: 'hot',
    ttl: ttlMs,
    ...options,
    stores: { hot: bentostore().useL1Layer(memoryDriver({ maxItems: 100_000, serialize: false })) },
  })
  return {
    name,
    per: 'processor',
    read: (key) => cache.getOrSet({ key, factory: async () => profile(key) }),
    close: () => cache.disconnectAll(),
  }
}

/** `ttlResolution`: how old the time may be that it judges by; ours is 20 ms. */
function lru(name: string, ttlResolution: number): Contestant {
  const cache = new LRUCache<string, Profile>({
    max: 100_000,
    ttl: ttlMs,
    ttlResolution,
    fetchMethod: async (key) => profile(key),
  })
  return { name, per: 'processor', read: (key) => cache.fetch(key) as Promise<Profile> }
}

/** Before anything counts: a thousand cold readers cost one load, and a hit gives the reference that was stored. */
async function checkMemory({ name, read, close }: Contestant): Promise<void> {
  const found = await Promise.all(Array.from({ length: 1000 }, async () => read('cold')))
  if (new Set(found).size !== 1) throw new Error(`${name} loads a cold key more than once, or copies`)
  deepStrictEqual(found[0], profile('cold'))
  if ((await read('cold')) !== found[0]) throw new Error(`${name} does not keep references`)
  await close?.()
}

async function run({ rounds, seconds, note }: Settings): Promise<Claim[]> {
  const server = await openRedis()
  const connection = createRedis({ url: server.url })
  // Its timeout of single commands off: many times as fast as with it.
  const client = createClient({ url: server.url, commandOptions: { timeout: undefined as never } })
  await client.connect()
  const makers: readonly (() => Contestant)[] = [
    ours,
    () => bento('bentocache', {}),
    () => bento('bentocache with grace', { grace: '1h' }),
    () => lru('lru-cache', 1),
    () => lru('lru-cache, 20 ms', 20),
  ]
  for (const make of makers) await checkMemory(make())

  const far = createCache<Profile>(tiered({ near: memory(), far: redis(connection), bus: redisTracking(connection) }), {
    ttl: ttlMs,
    metrics: createMetrics(),
  })
  await far.ready()
  const load = async ({ key }: { key: string }): Promise<Profile> => profile(key)
  const contestants: readonly Contestant[] = [
    ...makers.map((make) => make()),
    { name: 'tiered', per: 'wall', read: (key) => far.getOrSet(key, load), close: () => far.close() },
    { name: 'redis client', per: 'wall', read: async (key) => JSON.parse((await client.get(key))!) as Profile },
  ]
  try {
    for (const key of keys) {
      await client.set(key, JSON.stringify(profile(key)), { expiration: { type: 'PX', value: ttlMs } })
      for (const { name, read } of contestants) {
        const value = await read(key)
        if (value.id !== key) throw new Error(`${name} gives something else`)
      }
    }
    // The server tells of what this process stored, too; then the values are fetched once more.
    for (let left = entries; left > 0;) {
      await new Promise((done) => setTimeout(done, 50))
      for (const key of keys) await far.getOrSet(key, load)
      const { hit } = far.counts
      for (const key of keys) await far.getOrSet(key, load)
      left = entries - (far.counts.hit - hit)
    }
    const stored = await client.dbSize()
    if (stored < 2 * entries) throw new Error(`two tiers left ${stored - entries} values in Redis`)

    const results = new Map(
      contestants.flatMap(({ name }) => [
        [name, [] as number[]],
        [`${name}, awaited`, [] as number[]],
      ]),
    )
    for (let round = -1; round < rounds; round++) {
      const measured: string[] = []
      // Another one begins each round.
      for (let turn = 0; turn < contestants.length; turn++) {
        const { name, read, per } = contestants[(turn + round + 1) % contestants.length]!
        const value = await rate(read, seconds, per, false)
        // Of the others every value is a promise.
        const awaited = name === 'ours' ? await rate(read, seconds, per, true) : value
        if (round >= 0) {
          results.get(name)!.push(value)
          results.get(`${name}, awaited`)!.push(awaited)
        }
        measured.push(
          `${name} ${Math.round(value / 1000)}k/s${name === 'ours' ? ` (awaited ${Math.round(awaited / 1000)}k/s)` : ''}`,
        )
      }
      note(
        `${round < 0 ? `${server.version}, warm` : `round ${round + 1} of ${rounds}`}: ${measured.sort().join(', ')}`,
      )
    }
    /** The best setting of a rival, round by round. */
    const best = (...names: readonly string[]): number[] =>
      results.get(names[0]!)!.map((_, round) => Math.max(...names.map((name) => results.get(name)![round]!)))
    return [
      claim('cache.hot.bentocache', best('ours'), best('bentocache', 'bentocache with grace')),
      claim('cache.hot.lru_cache', best('ours'), best('lru-cache', 'lru-cache, 20 ms')),
      claim('cache.awaited.bentocache', best('ours, awaited'), best('bentocache', 'bentocache with grace')),
      claim('cache.awaited.lru_cache', best('ours, awaited'), best('lru-cache', 'lru-cache, 20 ms')),
      claim('cache.tiered.redis', best('tiered'), best('redis client')),
    ]
  } finally {
    for (const { close } of contestants) await close?.()
    await connection.close()
    await client.close()
    await server.remove()
  }
}

export const bench: Bench = {
  bars: {
    'cache.hot.bentocache': { atLeast: 25 },
    'cache.hot.lru_cache': { atLeast: 1.2 },
    'cache.awaited.bentocache': { atLeast: 7 },
    'cache.awaited.lru_cache': { atLeast: 1.1 },
    'cache.tiered.redis': { atLeast: 20 },
  },
  run,
}
