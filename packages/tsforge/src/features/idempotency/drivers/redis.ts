import { defineScript } from '../../../primitives/redis/index.ts'
import type { Redis, Reply } from '../../../primitives/redis/index.ts'
import type { Claim, IdempotencyDriver, NewClaim } from '../driver.ts'

// One hash for each id: t(oken), r(equest), l(ease until), a(nswer). Times are the server's own, in milliseconds.
const now = `local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)`
// The first write of a script decides whether a full server refuses it: it must be this one.
const put = `redis.call('HSET', KEYS[1], 't', ARGV[1], 'r', ARGV[2], 'l', now + ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])`

const claim = defineScript(
  'idempotency claim',
  1,
  `${now}
local seen = redis.call('HMGET', KEYS[1], 't', 'r', 'l', 'a')
if seen[1] then return {seen[1], seen[2], seen[3] - now, seen[4]} end
${put}
return false`,
)

const takeOver = defineScript(
  'idempotency take over',
  1,
  `${now}
local seen = redis.call('HMGET', KEYS[1], 't', 'a', 'l')
if seen[1] ~= ARGV[5] or seen[2] or tonumber(seen[3]) > now then return 0 end
${put}
return 1`,
)

const extend = defineScript(
  'idempotency extend',
  1,
  `${now}
if redis.call('HGET', KEYS[1], 't') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'l', now + ARGV[2])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 1`,
)

const settle = defineScript(
  'idempotency settle',
  1,
  `if redis.call('HGET', KEYS[1], 't') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'a', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1`,
)

const release = defineScript(
  'idempotency release',
  1,
  `local seen = redis.call('HMGET', KEYS[1], 't', 'a')
if seen[1] == ARGV[1] and not seen[2] then redis.call('DEL', KEYS[1]) end
return 1`,
)

export interface RedisIdempotencySettings {
  /** Keeps apps apart that share a server. Default none. */
  readonly prefix?: string
}

/**
 * Keys in Redis 6.2 or newer (or Valkey). The record cannot commit with an effect in a database: a process that dies
 * between the two leaves work that the next try does again. The server must not evict keys (`noeviction`).
 */
export function redis(connection: Redis, { prefix }: RedisIdempotencySettings = {}): IdempotencyDriver {
  const nameOf = (id: string): string => `${prefix === undefined ? '' : `${prefix}:`}forge:idempotency:${id}`
  const values = ({ token, request, leaseMs, ttlMs }: NewClaim): string[] => [
    token,
    request,
    String(leaseMs),
    String(ttlMs),
  ]

  return {
    name: 'redis',
    capabilities: { transactional: false, shared: true },
    claim: async (id, wanted) => claimOf(await connection.script(claim, [nameOf(id)], values(wanted))),
    takeOver: async (id, former, wanted) =>
      (await connection.script(takeOver, [nameOf(id)], [...values(wanted), former])) === 1,
    extend: async (id, token, leaseMs) =>
      (await connection.script(extend, [nameOf(id)], [token, String(leaseMs)])) === 1,
    settle: async (id, token, answer, ttlMs) =>
      (await connection.script(settle, [nameOf(id)], [token, answer, String(ttlMs)])) === 1,
    release: async (id, token) => void (await connection.script(release, [nameOf(id)], [token])),
    sweep: async () => 0,
    ping: async () => void (await connection.command(['PING'])),
    // The connection belongs to whoever made it.
    close: async () => {},
  }
}

function claimOf(reply: Reply): Claim {
  if (!Array.isArray(reply)) return { state: 'claimed' }
  const [token, request, leaseLeftMs, answer] = reply as [string, string, number, string | null]
  return answer === null
    ? { state: 'running', request, token, leaseLeftMs }
    : { state: 'settled', request, answer, leaseLeftMs }
}
