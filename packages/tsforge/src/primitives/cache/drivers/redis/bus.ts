import { randomUUID } from 'node:crypto'
import type { Redis } from '../../../redis/index.ts'
import { addressOf } from '../../driver.ts'
import type { CacheBus, CacheChange } from '../../driver.ts'
import { Names } from './names.ts'

/**
 * Changes as Redis itself tells them, by client-side tracking in broadcast mode: writes of anybody, deletes, evictions.
 * Nothing is published; own writes are told as well. Not for clusters.
 */
export function redisTracking(redis: Redis, options: { readonly keyPrefix?: string } = {}): CacheBus {
  const names = new Names(options.keyPrefix ?? '')
  return {
    name: 'redis tracking',
    told: 'by the store',
    publish: async () => {},
    subscribe: (listener, onLost) =>
      redis.track(
        [names.entries, names.tags],
        (keys) => {
          if (keys === null) return listener({})
          for (const key of keys) {
            const change = changeOf(names, key)
            if (change !== undefined) listener(change)
          }
        },
        onLost,
      ),
  }
}

function changeOf(names: Names, name: string): CacheChange | undefined {
  const found = names.addressOf(name)
  const address = found && addressOf(found.address)
  if (address === undefined) return undefined
  const { prefix, key } = address
  return found!.kind === 'entry' ? { prefix, keys: [key] } : { prefix, tags: [key] }
}

/** Changes over a channel of Redis: for clusters, and for memory without a store behind it. */
export function redisBus(redis: Redis, options: { readonly keyPrefix?: string } = {}): CacheBus {
  const channel = `${options.keyPrefix ?? ''}forge:cache:changes`
  const origin = randomUUID()
  return {
    name: 'redis pub/sub',
    publish: async (change) => {
      await redis.command(['PUBLISH', channel, JSON.stringify({ origin, change })])
    },
    subscribe: (listener, onLost) =>
      redis.subscribe(
        channel,
        (message) => {
          const told = JSON.parse(message) as { readonly origin: string; readonly change: CacheChange }
          if (told.origin !== origin) listener(told.change)
        },
        onLost,
      ),
  }
}
