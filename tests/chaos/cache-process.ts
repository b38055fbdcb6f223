/**
 * One process with a cache, told by its parent what to do. Everything that it answers carries the machine's monotonic
 * time, which all processes of the machine share.
 */
import { createCache } from 'tsforge/cache'
import type { CacheBus, CacheDriver } from 'tsforge/cache'
import { memory } from 'tsforge/cache/memory'
import { postgresBus } from 'tsforge/cache/postgres'
import { redis, redisTracking } from 'tsforge/cache/redis'
import { tiered } from 'tsforge/cache/tiered'
import { createDb } from 'tsforge/db'
import { postgres } from 'tsforge/db/postgres'
import { createRedis } from 'tsforge/redis'

export type Order =
  | { readonly do: 'cold'; readonly key: string; readonly readers: number }
  | { readonly do: 'set'; readonly key: string; readonly value: string; readonly tags: readonly string[] }
  /** Reads until the value is in the memory of this process. */
  | { readonly do: 'warm'; readonly key: string }
  | { readonly do: 'invalidate'; readonly tag: string }
  /** Reads again and again until there is nothing. */
  | { readonly do: 'watch'; readonly key: string }

export interface Done {
  readonly at: number
  readonly values?: readonly unknown[]
}

const now = (): number => Number(process.hrtime.bigint()) / 1e6
const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms))

const [kind, url] = process.argv.slice(2) as ['redis' | 'postgres', string]
const connection = kind === 'redis' ? createRedis({ url, deadlineMs: 10_000, connectMs: 20_000 }) : undefined
const db = kind === 'postgres' ? createDb(postgres({ url, max: 2 })) : undefined

function driver(): CacheDriver {
  if (connection === undefined) return tiered({ near: memory(), bus: postgresBus(db!) as CacheBus })
  return tiered({ near: memory(), far: redis(connection), bus: redisTracking(connection) })
}

const cache = createCache<string>(driver(), { namespace: 'chaos', ttl: '10m' })

/** The source is slow, and counts how often it was asked by anybody. */
async function load(): Promise<string> {
  const runs = String(await connection!.command(['INCR', 'loads']))
  await pause(200)
  return `load ${runs}`
}

async function run(order: Order): Promise<Done> {
  switch (order.do) {
    case 'cold': {
      const readers = Array.from({ length: order.readers }, async () => cache.getOrSet(order.key, load, { lock: true }))
      const values = [...new Set(await Promise.all(readers))]
      return { at: now(), values }
    }
    case 'set':
      await cache.set(order.key, order.value, { tags: order.tags })
      return { at: now() }
    case 'warm':
      for (;;) {
        const near = cache.get<string>(order.key)
        if (typeof near === 'string') return { at: now(), values: [near] }
        await near
        await pause(5)
      }
    case 'invalidate': {
      const at = now()
      await cache.invalidateTags([order.tag])
      return { at }
    }
    case 'watch':
      while ((await cache.get(order.key)) !== undefined) await pause(1)
      return { at: now() }
  }
}

process.on('message', ({ id, order }: { id: number; order: Order }) => {
  void run(order).then((done) => process.send!({ id, done }))
})
process.on('disconnect', () => process.exit(0))
await cache.ready()
process.send!({ id: 0 })
