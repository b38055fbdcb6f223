import { defineScript } from '../../../redis/index.ts'
import type { Script } from '../../../redis/index.ts'

/** An entry and the milliseconds that it has left. */
export const readEntry: Script = defineScript(
  'cache.read',
  1,
  `local value = redis.call('GET', KEYS[1])
if not value then return false end
return {value, redis.call('PTTL', KEYS[1])}`,
)

/**
 * The server's time in microseconds and the versions of tags, made where there is none; nil when one of them was invalidated
 * after the load had begun. A version is a time as well, behind `i` (invalidated) or `c` (made because there was none). A
 * tag outlives its entries; its life is prolonged by leaps, since each change is told to everybody who tracks it.
 * ARGV: how long ago the load began in microseconds, life of the entry in milliseconds.
 */
export const stampTags: Script = defineScript(
  'cache.stamp',
  0,
  `local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local versions = redis.call('MGET', unpack(KEYS))
for at, key in ipairs(KEYS) do
  local version = versions[at]
  if version and string.sub(version, 1, 1) == 'i' and tonumber(string.sub(version, 2)) >= now - tonumber(ARGV[1]) then
    return false
  end
end
for at, key in ipairs(KEYS) do
  local left = 0
  if versions[at] then
    left = redis.call('PTTL', key)
  else
    versions[at] = string.format('c%.0f', now)
  end
  if left < tonumber(ARGV[2]) then
    redis.call('SET', key, versions[at], 'PX', string.format('%.0f', 2 * tonumber(ARGV[2]) + 3600000))
  end
end
table.insert(versions, 1, string.format('%.0f', now))
return versions`,
)

/** ARGV: least life of the tag in milliseconds; longer than any load that may be under way. */
export const invalidateTags: Script = defineScript(
  'cache.invalidate',
  0,
  `local time = redis.call('TIME')
local version = string.format('i%.0f', time[1] * 1000000 + time[2])
for _, key in ipairs(KEYS) do
  local left = math.max(redis.call('PTTL', key), tonumber(ARGV[1]))
  redis.call('SET', key, version, 'PX', string.format('%.0f', left))
end
return true`,
)

/** The sum, or nil for what is no counter. ARGV: step, life of a new counter in milliseconds. */
export const increment: Script = defineScript(
  'cache.increment',
  1,
  `local value = redis.call('GET', KEYS[1])
if value and (#value > 17 or not string.match(value, '^%-?%d+$')) then return false end
local sum = (tonumber(value) or 0) + tonumber(ARGV[1])
if math.abs(sum) > 9007199254740991 then return false end
if value then
  redis.call('INCRBY', KEYS[1], ARGV[1])
else
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
return string.format('%.0f', sum)`,
)

/** ARGV: token, lease in milliseconds. */
export const lock: Script = defineScript(
  'cache.lock',
  1,
  `local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`,
)

export const unlock: Script = defineScript(
  'cache.unlock',
  1,
  `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`,
)
