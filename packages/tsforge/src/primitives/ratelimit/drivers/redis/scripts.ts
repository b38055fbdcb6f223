import { defineScript } from '../../../redis/index.ts'
import type { Script } from '../../../redis/index.ts'

/**
 * Microseconds since 2026 by the server's clock: whole numbers with quarters that a Lua number holds exactly until 2097.
 * (TIME in a script that writes needs replication by effects: the only kind since Redis 7, the default since 5.)
 */
const now = `local t = redis.call('TIME')
local now = (t[1] - 1767225600) * 1000000 + t[2]
`

/**
 * How far a key is ahead of now. Further than its depth it can only be because the clock was set back: then it counts
 * as full, which passes, instead of being locked for as long as the clock was set back.
 */
const backlog = `local function backlog(key, depth)
  local at = redis.call('GET', key)
  if not at then return 0 end
  local ahead = at - now
  if ahead <= 0 then return 0 end
  if ahead > depth then return depth end
  return ahead
end
`

const keep = `local function keep(key, ahead)
  redis.call('SET', key, now + ahead, 'PX', math.ceil(ahead / 1000))
end
`

/**
 * KEYS: one for each call. ARGV: interval, depth, then the costs unless all are 1.
 * Of each call the microseconds that its key is ahead afterwards, negative when it was refused (which it is never at 0).
 */
export const takeScript: Script = defineScript(
  'ratelimit.take',
  1,
  `${now}${backlog}${keep}local interval, depth = tonumber(ARGV[1]), tonumber(ARGV[2])
local answers = {}
for i = 1, #KEYS do
  local key = KEYS[i]
  local before = backlog(key, depth)
  local after = before + (ARGV[i + 2] or 1) * interval
  if after <= depth then
    keep(key, after)
    answers[i] = math.ceil(after)
  else
    answers[i] = -math.ceil(before)
  end
end
return answers`,
)

/**
 * KEYS: one for each lease. ARGV: interval, depth, then need and want of each. Answers now, then of each its grant
 * (`leaseSize` says how it is found) and how far its key is ahead.
 */
export const leaseScript: Script = defineScript(
  'ratelimit.lease',
  1,
  `${now}${backlog}${keep}local interval, depth = tonumber(ARGV[1]), tonumber(ARGV[2])
local fifth = depth / interval / 5
local answers = { now }
for i = 1, #KEYS do
  local key = KEYS[i]
  local ahead = backlog(key, depth)
  local room = math.floor((depth - ahead) / interval)
  local spare = math.min(tonumber(ARGV[2 * i + 2]), math.floor((room - fifth) / 8))
  local granted = math.max(0, math.min(room, math.max(tonumber(ARGV[2 * i + 1]), spare)))
  if granted > 0 then
    ahead = ahead + granted * interval
    keep(key, ahead)
  end
  answers[2 * i] = granted
  answers[2 * i + 1] = math.ceil(ahead)
end
return answers`,
)

/** KEYS: one. ARGV: microseconds to give back, when they were taken, for how long they may come back. */
export const giveBackScript: Script = defineScript(
  'ratelimit.give_back',
  1,
  `${now}${keep}local at = redis.call('GET', KEYS[1])
if not at or now - ARGV[2] > tonumber(ARGV[3]) then return 0 end
local ahead = at - ARGV[1] - now
if ahead > 0 then keep(KEYS[1], ahead) else redis.call('DEL', KEYS[1]) end
return 1`,
)

/** KEYS: one. Answers how far it is ahead. */
export const peekScript: Script = defineScript(
  'ratelimit.peek',
  1,
  `${now}${backlog}return math.ceil(backlog(KEYS[1], tonumber(ARGV[1])))`,
)

/**
 * KEYS: one. ARGV: window in milliseconds, limit, cost (0 only looks). The key holds the number of its window, what was
 * spent in it and in the one before. Answers whether it was allowed, both, and the milliseconds since the window began.
 */
export const slidingScript: Script = defineScript(
  'ratelimit.sliding',
  1,
  `local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local window, limit, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local number = math.floor(now / window)
local elapsed = now - number * window
local spent, before = 0, 0
local held = redis.call('GET', KEYS[1])
if held then
  local was, s, b = string.match(held, '^(%d+) (%d+) (%d+)$')
  local passed = number - was
  if passed <= 0 then spent, before = tonumber(s), tonumber(b)
  elseif passed == 1 then before = tonumber(s) end
end
local asked = math.max(cost, 1)
local allowed = spent + before * (1 - elapsed / window) + asked <= limit
if allowed and cost > 0 then
  spent = spent + cost
  redis.call('SET', KEYS[1], string.format('%.0f %.0f %.0f', number, spent, before), 'PX', 2 * window - elapsed)
end
return { allowed and 1 or 0, spent, before, elapsed }`,
)

const places = `local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local lease = tonumber(ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
`

/** KEYS: one sorted set of holders by the end of their lease. ARGV: lease, limit, holder. Answers whether, how many, until when. */
export const acquireScript: Script = defineScript(
  'ratelimit.acquire',
  1,
  `${places}local held = redis.call('ZCARD', KEYS[1])
local allowed = held < tonumber(ARGV[2]) or redis.call('ZSCORE', KEYS[1], ARGV[3])
if allowed then
  redis.call('ZADD', KEYS[1], string.format('%.0f', now + lease), ARGV[3])
  redis.call('PEXPIRE', KEYS[1], lease)
  held = redis.call('ZCARD', KEYS[1])
end
local last = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')
return { allowed and 1 or 0, held, (last[2] or now) - now }`,
)

/** KEYS: one. ARGV: lease, then holders. Answers of each whether it still held its place. */
export const renewScript: Script = defineScript(
  'ratelimit.renew',
  1,
  `${places}local answers = {}
local any = false
for i = 2, #ARGV do
  local held = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if held then
    redis.call('ZADD', KEYS[1], string.format('%.0f', now + lease), ARGV[i])
    any = true
  end
  answers[i - 1] = held and 1 or 0
end
if any then redis.call('PEXPIRE', KEYS[1], lease) end
return answers`,
)
