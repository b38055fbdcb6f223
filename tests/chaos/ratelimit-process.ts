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
  /** Before the first call, before the last one, and after the last answer. */
  readonly fromMs: number
  readonly lastMs: number
  readonly toMs: number
  /** Of that time, what this process ran: a turn of its event loop counts 10 ms at most. */
  readonly ranMs: number
}

const now = (): number => Number(process.hrtime.bigint()) / 1e6
const [kind, url] = process.argv.slice(2) as [Kind, string]
const lanes = 16

function driver(): RatelimitDriver {
  const store = kind.endsWith('redis')
    ? redis(createRedis({ url, deadlineMs: 60_000, connectMs: 20_000 }))
    : postgres(
        createDb(database({ url, max: 4, poolWaitMs: 60_000, lockTimeoutMs: 60_000, statementTimeoutMs: 60_000 })),
      )
  return kind.startsWith('leased') ? leased(store) : store
}

// A machine that runs five busy processes on two cores is late; this is about counting, not about lateness.
const limits = createRatelimit(driver(), { deadlineMs: 60_000 })

async function hammer({ spec, fromMs, toMs }: Order): Promise<Hammered> {
  const limit = limits.limit(spec)
  await new Promise((done) => setTimeout(done, Math.max(0, fromMs - now())))
  const began = now()
  let [calls, grants, lost] = [0, 0, 0]
  let lastMs = began
  let [ranMs, lookedMs] = [0, began]
  const timer = setInterval(() => {
    const at = now()
    ranMs += Math.min(at - lookedMs, 10)
    lookedMs = at
  }, 5)
  const lane = async (): Promise<void> => {
    for (let at = now(); at < toMs; at = now()) {
      lastMs = at
      const decision = await limit.take('everybody')
      calls++
      if (decision.allowed) grants++
      if (decision.lost) lost++
      // Refusals come at once: without this nothing else in the process would ever run.
      if (!decision.allowed) await new Promise(setImmediate)
    }
  }
  await Promise.all(Array.from({ length: lanes }, lane))
  clearInterval(timer)
  return { calls, grants, lost, fromMs: began, lastMs, toMs: now(), ranMs }
}

process.on('message', (order: Order) => void hammer(order).then((hammered) => process.send!(hammered)))
process.on('disconnect', () => process.exit(0))
// The connection stands before the start.
await limits.limit({ name: 'warm-up', limit: 1000, window: '1s', whenLost: 'closed' }).take('somebody')
process.send!('ready')
