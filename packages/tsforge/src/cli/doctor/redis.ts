import type { Redis } from '../../primitives/redis/index.ts'
import { broken, fine } from './finding.ts'
import type { Finding } from './finding.ts'

/** Client-side tracking and ACLs came with Redis 6. */
const oldestServer = 6

/** What the server says of itself: its age, its role, and what it does when its memory is full. */
export async function examineRedis(redis: Redis): Promise<Finding> {
  const name = 'redis'
  try {
    const began = performance.now()
    await redis.command(['PING'])
    const tookMs = performance.now() - began
    const facts = factsOf(String(await redis.command(['INFO'])))
    const software = facts.get('valkey_version') === undefined ? 'Redis' : 'Valkey'
    const version = facts.get('valkey_version') ?? facts.get('redis_version') ?? '?'
    const detail = `${software} ${version}${redis.cluster ? ' (cluster)' : ''}, answers in ${tookMs.toFixed(1)} ms`
    if (Number.parseInt(version, 10) < oldestServer)
      return { name, state: 'failed', detail, fix: `Use Redis ${oldestServer} or newer, or Valkey.` }
    if (facts.get('role') === 'slave')
      return { name, state: 'failed', detail: `${detail}, is a replica`, fix: 'Point REDIS_URL at the primary.' }
    // Limits and idempotency keys must not be dropped to make room for cached values, so only keys may go that end anyway.
    const policy = facts.get('maxmemory_policy') ?? 'noeviction'
    const limited = Number(facts.get('maxmemory') ?? 0) > 0
    if (limited && policy === 'noeviction')
      return {
        name,
        state: 'warning',
        detail: `${detail}, refuses to write when its memory is full`,
        fix: 'Set maxmemory-policy to volatile-lfu.',
      }
    return fine(name, detail)
  } catch (error) {
    return broken(name, error)
  }
}

function factsOf(info: string): ReadonlyMap<string, string> {
  return new Map(
    info.split('\r\n').flatMap((line) => {
      const at = line.indexOf(':')
      return at === -1 ? [] : [[line.slice(0, at), line.slice(at + 1)] as const]
    }),
  )
}
