import { createRedis, defineScript, redisErrors } from '../../redis/index.ts'
import type { LiveRedis, Redis, RedisConnectionOptions } from '../../redis/index.ts'
import type { Outcome, SinkDriver, SinkMessage } from '../driver.ts'
import { asError, refuseOption, unreachable } from '../errors.ts'

export interface RedisSinkOptions extends Partial<RedisConnectionOptions> {
  /** Of the app, or a connected client of the package `redis`: neither is closed. Otherwise `url`. */
  readonly redis?: Redis | LiveRedis
  /** Entries that a stream keeps, about (`MAXLEN ~`): older ones go, read or not. Default: all. */
  readonly maxLength?: number
}

/** Adds entries to one stream: all, or with an error none of them. ARGV: limit or '', then for each a count and its fields. */
const append = defineScript(
  'sinks-append',
  1,
  `local at = 2
while at <= #ARGV do
  local count = tonumber(ARGV[at])
  local entry = { KEYS[1] }
  if ARGV[1] ~= '' then
    entry[2], entry[3], entry[4] = 'MAXLEN', '~', ARGV[1]
  end
  entry[#entry + 1] = '*'
  for i = at + 1, at + count do entry[#entry + 1] = ARGV[i] end
  redis.call('XADD', unpack(entry))
  at = at + count + 1
end
return 1`,
)

/** A script holds up everybody else's commands while it runs. */
const entriesPerScript = 64
const bytesPerScript = 512 * 1024

/**
 * Redis Streams: an entry has the fields `id` and `event` (the JSON), in binary mode `ce_id`, `ce_type` and the other
 * attributes, and `data`. Entries of a batch come in one script, so a stream has all of those or none. Confirmed is what the
 * primary has in memory: see its `appendfsync`. There is no window for duplicates: readers go by the id of the event.
 */
export function redis(options: RedisSinkOptions): SinkDriver {
  const { redis: given, maxLength, url, ...rest } = options
  if (maxLength !== undefined && !(Number.isInteger(maxLength) && maxLength > 0))
    refuseOption('maxLength', 'must be a whole number above 0')
  if (given === undefined && url === undefined) refuseOption('url', 'is missing')
  const own = given === undefined || 'sendCommand' in given
  const client =
    given === undefined
      ? createRedis({ deadlineMs: 5000, ...rest, url: url! })
      : own
        ? createRedis(given, { deadlineMs: 5000, ...rest })
        : given
  const limit = maxLength === undefined ? '' : String(maxLength)
  const add = async (stream: string, part: readonly SinkMessage[]): Promise<Outcome> => {
    try {
      await client.script(append, [stream], argumentsOf(part, limit))
      return 'confirmed'
    } catch (fault) {
      const away = redisErrors.is(fault, 'redis.unavailable') || redisErrors.is(fault, 'redis.timeout')
      return away ? unreachable(fault) : asError(fault)
    }
  }
  return {
    name: 'redis',
    capabilities: { atomicPerKey: true, deduplicates: false },
    async send(messages, signal) {
      const outcomes = new Map<SinkMessage, Outcome>()
      const streams = Map.groupBy(messages, ({ to }) => to)
      await Promise.all(
        [...streams].map(async ([stream, entries]) => {
          let outcome: Outcome = 'confirmed'
          for (const part of parts(entries)) {
            // Behind a part that failed no other is sent.
            if (outcome === 'confirmed') outcome = signal.aborted ? unreachable(signal.reason) : await add(stream, part)
            for (const message of part) outcomes.set(message, outcome)
          }
        }),
      )
      return messages.map((message) => outcomes.get(message)!)
    },
    close: async () => {
      // The wrapper of a live client goes, the client stays.
      if (own) await client.close()
    },
  }
}

function argumentsOf(messages: readonly SinkMessage[], limit: string): (string | Buffer)[] {
  const list: (string | Buffer)[] = [limit]
  for (const { id, attributes, body } of messages) {
    const entries = Object.entries(attributes)
    if (entries.length === 0) list.push('4', 'id', id, 'event', body)
    else {
      list.push(String(2 * entries.length + 2))
      for (const [name, value] of entries) list.push(`ce_${name}`, value)
      list.push('data', body)
    }
  }
  return list
}

function* parts(messages: readonly SinkMessage[]): Generator<readonly SinkMessage[]> {
  let part: SinkMessage[] = []
  let bytes = 0
  for (const message of messages) {
    if (part.length === entriesPerScript || (part.length > 0 && bytes + message.body.length > bytesPerScript)) {
      yield part
      part = []
      bytes = 0
    }
    part.push(message)
    bytes += message.body.length
  }
  if (part.length > 0) yield part
}
