/** One process that hammers a limit, told by its parent when. Times are the machine's monotonic ones, which all processes share. */
import { createDb } from 'tsforge/db'
import { postgres as database } from 'tsforge/db/postgres'
import { createRatelimit } from 'tsforge/ratelimit'
import type { LimitSpec, RatelimitDriver } from 'tsforge/ratelimit'
import { leased } from 'tsforge/ratelimit/leased'
import { postgres } from 'tsforge/ratelimit/postgres'
import { redis } from 'tsforge/ratelimit/redis'
import { createRedis } from 'tsforge/redis'

export type Kind = 'redis' | 'postgres' | 'leased redis' | 'leased postgres'

export interface Order {
  readonly spec: LimitSpec
  readonly fromMs: number
  readonly toMs: number
}

export interface Hammered {
  readonly calls: number
  readonly grants: number
  /** Decisions by policy: there must be none. */
  readonly lost: number
  /** Before the first call and after the last answer. */
  readonly fromMs: number
  readonly toMs: number
}

const now = (): number => Number(process.hrtime.bigint()) / 1e6
const [kind, url] = process.argv.slice(2) as [Kind, string]
const lanes = 16

function driver(): RatelimitDriver {
  const store = kind.endsWith('redis')
    ? redis(createRedis({ url, deadlineMs: 10_000, connectMs: 20_000 }))
    : postgres(createDb(database({ url, max: 4 })))
  return kind.startsWith('leased') ? leased(store) : store
}

// A machine that runs five busy processes on two cores is late; this is about counting, not about lateness.
const limits = createRatelimit(driver(), { deadlineMs: 5000 })

async function hammer({ spec, fromMs, toMs }: Order): Promise<Hammered> {
  const limit = limits.limit(spec)
  await new Promise((done) => setTimeout(done, Math.max(0, fromMs - now())))
  const began = now()
  let [calls, grants, lost] = [0, 0, 0]
  const lane = async (): Promise<void> => {
    while (now() < toMs) {
      const decision = await limit.take('everybody')
      calls++
      if (decision.allowed) grants++
      if (decision.lost) lost++
      // Refusals come at once: without this nothing else in the process would ever run.
      if (!decision.allowed) await new Promise(setImmediate)
    }
  }
  await Promise.all(Array.from({ length: lanes }, lane))
  return { calls, grants, lost, fromMs: began, toMs: now() }
}

process.on('message', (order: Order) => void hammer(order).then((hammered) => process.send!(hammered)))
process.on('disconnect', () => process.exit(0))
// The connection stands before the start.
await limits.limit({ name: 'warm-up', limit: 1000, window: '1s', whenLost: 'closed' }).take('somebody')
process.send!('ready')
