import { defineScript } from '../../../redis/index.ts'
import type { Script } from '../../../redis/index.ts'

/** KEYS: stream. ARGV: channel, length, then id, position before it and JSON of each event. What is there already stays. */
export const append: Script = defineScript(
  'realtime.append',
  1,
  `for i = 3, #ARGV, 3 do
  local done = redis.pcall('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], ARGV[i], 'after', ARGV[i + 1], 'event', ARGV[i + 2])
  if type(done) == 'table' and done.err and not string.find(done.err, 'equal or smaller', 1, true) then
    return done
  end
end
redis.call('PUBLISH', ARGV[1], '')
return 1`,
)

/** KEYS: lock. ARGV: holder, milliseconds. 1: it is ours now or still. */
export const hold: Script = defineScript(
  'realtime.hold',
  1,
  `local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`,
)

/** KEYS: lock. ARGV: holder. */
export const letGo: Script = defineScript(
  'realtime.let_go',
  1,
  `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`,
)
