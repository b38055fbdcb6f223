/** Decisions per second of our limiter against rate-limiter-flexible: in memory, exact on Redis, leased from Redis. */
import { RateLimiterMemory, RateLimiterRedis } from 'rate-limiter-flexible'
import type { RateLimiterAbstract } from 'rate-limiter-flexible'
import { createClient } from 'redis'
import { createRatelimit } from 'tsforge/ratelimit'
import type { Decision, RatelimitDriver } from 'tsforge/ratelimit'
import { leased } from 'tsforge/ratelimit/leased'
import { memory } from 'tsforge/ratelimit/memory'
import { redis } from 'tsforge/ratelimit/redis'
import { createRedis } from 'tsforge/redis'
import type { Bench, Settings } from './bench.ts'
import { openRedis } from './redis.ts'
import { claim } from './statistics.ts'
import type { Claim } from './statistics.ts'

/** Calls in flight. */
const parallel = 64
/** So much that nothing is refused while it is measured: a refusal costs rate-limiter-flexible an exception. */
const limit = 60_000_000
const windowSeconds = 60

/** A thousand clients, of which some call much more often than others. */
const keys = Array.from({ length: 8192 }, (_, index) => `ip:10.0.${(skewed(index) * 1000) | 0}`)

/** Spread over [0, 1), dense near 0; the same in each run. */
function skewed(index: number): number {
  const even = ((index * 2654435761) % 4294967296) / 4294967296
  return even * even
}

type Ask = (key: string) => Decision | Promise<unknown>

/**
 * Decisions per second with 64 in flight, for `seconds`. A decision that is there at once is not awaited, as a caller
 * does who looks; after 256 of them the event loop gets its turn, for all of them alike.
 */
async function rate(ask: Ask, seconds: number): Promise<number> {
  const begun = performance.now()
  const end = begun + seconds * 1000
  let done = 0
  const lane = async (offset: number): Promise<void> => {
    let index = offset * 127
    while (performance.now() < end) {
      for (let turn = 0; turn < 256; turn++) {
        const answer = ask(keys[index++ & 8191]!)
        if (answer instanceof Promise) await answer
      }
      done += 256
      await new Promise(setImmediate)
    }
  }
  await Promise.all(Array.from({ length: parallel }, (_, offset) => lane(offset)))
  return (done * 1000) / (performance.now() - begun)
}

interface Contestant {
  readonly name: string
  /** Asks a limit that is never reached. */
  readonly ask: Ask
  /** Asks a limit of ten. */
  allows(key: string): Promise<boolean>
}

/** What its policy had to decide would not be a decision of the store. */
function counted(decision: Decision): Decision {
  if (decision.lost) throw new Error('the store was lost while it was measured')
  return decision
}

function ours(name: string, driver: RatelimitDriver): Contestant {
  // The rival waits for ever; a machine that is busy for a moment must not end the run.
  const limits = createRatelimit(driver, { deadlineMs: 2000 })
  const wide = limits.limit({ name, limit, window: windowSeconds * 1000 })
  const small = limits.limit({ name: `${name}-small`, limit: 10, window: windowSeconds * 1000 })
  return {
    name,
    ask: (key) => {
      const answer = wide.take(key)
      return answer instanceof Promise ? answer.then(counted) : counted(answer)
    },
    allows: async (key) => counted(await small.take(key)).allowed,
  }
}

function theirs(name: string, make: (points: number) => RateLimiterAbstract): Contestant {
  const [wide, small] = [make(limit), make(10)]
  return {
    name,
    ask: (key) => wide.consume(key),
    allows: (key) =>
      small.consume(`small:${key}`).then(
        () => true,
        (refusal: unknown) => {
          if (refusal instanceof Error) throw refusal
          return false
        },
      ),
  }
}

/** Decisions per second of each of them in each round, which begin with another one each. */
async function contest(
  contestants: readonly Contestant[],
  { rounds, seconds, note }: Settings,
): Promise<ReadonlyMap<string, readonly number[]>> {
  for (const { name, allows } of contestants) {
    const allowed = await Promise.all(Array.from({ length: 20 }, () => allows('somebody')))
    const count = allowed.filter(Boolean).length
    if (count !== 10) throw new Error(`${name} let ${count} of 20 calls through a limit of 10`)
  }
  const results = new Map(contestants.map(({ name }) => [name, [] as number[]]))
  for (let round = -1; round < rounds; round++) {
    const measured: string[] = []
    for (let turn = 0; turn < contestants.length; turn++) {
      const { name, ask } = contestants[(turn + round + 1) % contestants.length]!
      const value = await rate(ask, seconds)
      if (round >= 0) results.get(name)!.push(value)
      measured.push(`${name} ${Math.round(value / 1000)}k/s`)
    }
    note(`${round < 0 ? 'warm' : `round ${round + 1} of ${rounds}`}: ${measured.sort().join(', ')}`)
  }
  return results
}

async function run(settings: Settings): Promise<Claim[]> {
  const alone = await contest(
    [
      ours('memory', memory()),
      theirs('rlf memory', (points) => new RateLimiterMemory({ points, duration: windowSeconds })),
    ],
    settings,
  )
  const server = await openRedis()
  settings.note(server.version)
  const connection = createRedis({ url: server.url })
  // Its best client, with the timeout of single commands off: seven times as fast as with it.
  const client = createClient({ url: server.url, commandOptions: { timeout: undefined as never } })
  await client.connect()
  try {
    const shared = await contest(
      [
        ours('redis', redis(connection, { prefix: 'exact:' })),
        theirs(
          'rlf redis',
          (points) =>
            new RateLimiterRedis({
              storeClient: client,
              useRedisPackage: true,
              points,
              duration: windowSeconds,
              inMemoryBlockOnConsumed: points,
            }),
        ),
        ours('leased', leased(redis(connection))),
      ],
      settings,
    )
    return [
      claim('ratelimit.memory.rlf', alone.get('memory')!, alone.get('rlf memory')!),
      claim('ratelimit.redis.rlf', shared.get('redis')!, shared.get('rlf redis')!),
      claim('ratelimit.leased.rlf', shared.get('leased')!, shared.get('rlf redis')!),
    ]
  } finally {
    await connection.close()
    await client.close()
    await server.remove()
  }
}

export const bench: Bench = {
  bars: {
    'ratelimit.memory.rlf': { atLeast: 4 },
    'ratelimit.redis.rlf': { atLeast: 0.9 },
    'ratelimit.leased.rlf': { atLeast: 12 },
  },
  run,
}
