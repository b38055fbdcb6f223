/** Our queue of jobs against graphile-worker, pg-boss and BullMQ: adding, draining, idle latency, processor time, dead rows. */
import { openDatabase } from './database.ts'
import type { Bench, Settings } from './bench.ts'
import { bullmqPostgres, bullmqRedis } from './jobs/bullmq.ts'
import type { Contestant } from './jobs/contestant.ts'
import { graphile } from './jobs/graphile.ts'
import { claimRates } from './jobs/million.ts'
import { adds, bulk, drain, idle } from './jobs/measures.ts'
import { ours } from './jobs/ours.ts'
import { pgBoss } from './jobs/pg-boss.ts'
import { watch } from './jobs/server.ts'
import type { Watched } from './jobs/server.ts'
import { openRedis } from './redis.ts'
import { claim } from './statistics.ts'
import type { Claim } from './statistics.ts'

/** How much is done; a quick run does less of everything. */
interface Amounts {
  /** Of what takes a moment: adding one by one and idle latency. */
  readonly shortRounds: number
  readonly drainRounds: number
  readonly seq: number
  readonly wide: number
  readonly idle: number
  readonly small: number
  readonly large: number
  readonly dead: number
  readonly heldRounds: number
  readonly many: number
}

const full: Amounts = {
  shortRounds: 5,
  drainRounds: 3,
  seq: 60,
  wide: 640,
  idle: 50,
  small: 20_000,
  large: 100_000,
  dead: 20_000,
  heldRounds: 3,
  many: 1_000_000,
}
const quick: Amounts = {
  shortRounds: 3,
  drainRounds: 3,
  seq: 30,
  wide: 160,
  idle: 25,
  small: 2000,
  large: 30_000,
  dead: 5000,
  heldRounds: 3,
  many: 100_000,
}

const whole = (value: number): string => Math.round(value).toLocaleString('en')

/** What was measured, by measure and contestant, round by round. */
class Measures {
  readonly #values = new Map<string, number[]>()
  readonly #contestants: readonly Contestant[]
  readonly #note: Settings['note']

  constructor(contestants: readonly Contestant[], note: Settings['note']) {
    this.#contestants = contestants
    this.#note = note
  }

  /** Measures all contestants within seconds of each other; another one begins each round. */
  async round(title: string, turn: number, one: (contestant: Contestant) => Promise<Record<string, number>>) {
    const lines: string[] = []
    for (let place = 0; place < this.#contestants.length; place++) {
      const contestant = this.#contestants[(place + turn) % this.#contestants.length]!
      const { name } = contestant
      await contestant.clear()
      const measured = await one(contestant)
      await contestant.clear()
      for (const [measure, value] of Object.entries(measured)) this.of(measure, name).push(value)
      const values = Object.entries(measured).map(
        ([what, value]) => `${what} ${value < 100 ? value.toPrecision(3) : whole(value)}`,
      )
      lines.push(`${name}: ${values.join(', ')}`)
    }
    this.#note(`${title} ${turn + 1}: ${lines.sort().join('; ')}`)
  }

  of(measure: string, name: string): number[] {
    const key = `${measure} of ${name}`
    let values = this.#values.get(key)
    if (values === undefined) this.#values.set(key, (values = []))
    return values
  }
}

/** Adds, and latency of a worker that has nothing to do. */
async function short(contestant: Contestant, amounts: Amounts): Promise<Record<string, number>> {
  const seq = await adds(contestant, amounts.seq, 1)
  const wide = await adds(contestant, amounts.wide, 32)
  await contestant.clear()
  const apart = await idle(contestant, amounts.idle, true)
  return {
    seq,
    wide,
    idle: contestant.addElsewhere === undefined ? apart : await idle(contestant, amounts.idle, false),
    apart,
  }
}

/** Bulk, drain and what that costs. */
async function drains(contestant: Contestant, amounts: Amounts, watched: Watched): Promise<Record<string, number>> {
  // It would take a minute.
  const slow = contestant.name === 'BullMQ on PostgreSQL'
  const [few, many] = slow ? [amounts.small / 10, amounts.small / 5] : [amounts.small, amounts.large]
  await bulk(contestant, few)
  const { rate: small } = await drain(contestant, few)
  await contestant.clear()
  const added = await bulk(contestant, many)
  const { rate, cpu } = await drain(contestant, many, watched.cpuSeconds)
  return { bulk: added, small, drain: rate, ...(cpu !== undefined && { cpu }) }
}

/** Opens it, drains once, closes it, so that the server has counted everything; dead row versions per job. */
async function dead(make: () => Promise<Contestant>, count: number, watched: Watched, note: Settings['note']) {
  const contestant = await make()
  const { name, schema } = contestant
  await contestant.clear()
  const before = await watched.tables(schema!)
  await bulk(contestant, count)
  await drain(contestant, count)
  await contestant.close()
  // Sessions tell what they have counted when they end; the last of them may still be ending.
  let after = await watched.tables(schema!)
  for (let last = -1; last !== after.dead;) {
    last = after.dead
    await new Promise((done) => setTimeout(done, 300))
    after = await watched.tables(schema!)
  }
  const rows = after.dead - before.dead
  note(`${name}: ${whole(rows)} dead rows after ${whole(count)} jobs, ${(after.bytes / 1e6).toFixed(1)} MB of tables`)
  return rows / count
}

/** Rates of eight rounds while somebody looks at the state before them. */
async function held(contestant: Contestant, watched: Watched, note: Settings['note']): Promise<readonly number[]> {
  await contestant.clear()
  const release = await watched.hold()
  const rates: number[] = []
  try {
    for (let part = 0; part < 8; part++) {
      await bulk(contestant, 10_000)
      rates.push((await drain(contestant, 10_000)).rate)
    }
  } finally {
    await release()
  }
  await contestant.clear()
  note(`${contestant.name} under a held snapshot: ${rates.map(whole).join(', ')} /s`)
  return rates
}

async function run({ rounds, note }: Settings): Promise<Claim[]> {
  const amounts = rounds > 3 ? full : quick
  const database = await openDatabase({ durable: true })
  const redis = await openRedis()
  const watched = await watch(database.url)
  const { url } = database
  note(
    `${database.version}, ${redis.version}; adds, bulk and drains per second, latencies in ms, cpu in s per 1000 jobs`,
  )
  // Before all else: what other sessions have counted comes in for seconds after.
  const deaths = await dead(() => ours(url), amounts.dead, watched, note)
  await dead(() => graphile(url), amounts.dead, watched, note)
  if (amounts === full) await dead(() => pgBoss(url), amounts.dead, watched, note)

  const own = await ours(url)
  const rival = await graphile(url)
  const contestants: readonly Contestant[] = [
    own,
    rival,
    await pgBoss(url),
    await bullmqRedis(redis.url),
    await bullmqPostgres(url),
  ]
  const history = await ours(url, true)
  const measures = new Measures(contestants, note)
  try {
    // Compiled and connected, and it does what it shall.
    for (const contestant of contestants) {
      const count = contestant.name === 'BullMQ on PostgreSQL' ? 500 : 5000
      await bulk(contestant, count)
      await drain(contestant, count)
    }
    for (let turn = 0; turn < amounts.shortRounds; turn++)
      await measures.round('round', turn, (contestant) => short(contestant, amounts))
    for (let turn = 0; turn < amounts.drainRounds; turn++) {
      await measures.round('drains', turn, (contestant) => drains(contestant, amounts, watched))
      await bulk(history, amounts.large)
      measures.of('drain', history.name).push((await drain(history, amounts.large)).rate)
      await history.clear()
    }
    note(`ours with history: drain ${measures.of('drain', history.name).map(whole).join(', ')}`)
    const [first, last]: [number[], number[]] = [[], []]
    for (let turn = 0; turn < amounts.heldRounds; turn++) {
      const rates = await held(own, watched, note)
      first.push(rates[0]!)
      last.push(rates.at(-1)!)
    }
    if (amounts === full) await held(rival, watched, note)
    const { few, many } = await claimRates(own, amounts.many)
    note(
      `claims of 100: ${few.map(whole).join(', ')} of 1,000, ${many.map(whole).join(', ')} of ${whole(amounts.many)}`,
    )

    const against = (measure: string, name: string, title: string): Claim =>
      claim(`jobs.${title}`, measures.of(measure, 'ours'), measures.of(measure, name))
    const withCpu = measures.of('cpu', 'ours').length > 0
    return [
      against('drain', 'graphile-worker', 'drain.graphile_worker'),
      against('drain', 'pg-boss', 'drain.pg_boss'),
      against('drain', 'BullMQ', 'drain.bullmq_redis'),
      against('drain', 'BullMQ on PostgreSQL', 'drain.bullmq_postgres'),
      claim('jobs.drain_history.pg_boss', measures.of('drain', history.name), measures.of('drain', 'pg-boss')),
      against('small', 'graphile-worker', 'drain_20k.graphile_worker'),
      against('small', 'pg-boss', 'drain_20k.pg_boss'),
      against('small', 'BullMQ', 'drain_20k.bullmq_redis'),
      against('bulk', 'graphile-worker', 'bulk.graphile_worker'),
      against('bulk', 'pg-boss', 'bulk.pg_boss'),
      against('bulk', 'BullMQ', 'bulk.bullmq_redis'),
      against('seq', 'graphile-worker', 'seq.graphile_worker'),
      against('seq', 'pg-boss', 'seq.pg_boss'),
      against('seq', 'BullMQ', 'seq.bullmq_redis'),
      against('wide', 'graphile-worker', 'wide.graphile_worker'),
      against('wide', 'BullMQ', 'wide.bullmq_redis'),
      against('idle', 'graphile-worker', 'idle.graphile_worker'),
      against('idle', 'pg-boss', 'idle.pg_boss'),
      against('idle', 'BullMQ', 'idle.bullmq_redis'),
      against('apart', 'graphile-worker', 'idle_apart.graphile_worker'),
      against('apart', 'pg-boss', 'idle_apart.pg_boss'),
      ...(withCpu
        ? [against('cpu', 'graphile-worker', 'cpu.graphile_worker'), against('cpu', 'pg-boss', 'cpu.pg_boss')]
        : []),
      claim('jobs.held.first', last, first),
      claim('jobs.dead_rows', [deaths], [1]),
      claim('jobs.claim.million', many, few),
    ]
  } finally {
    for (const contestant of [...contestants, history]) await contestant.close()
    await watched.close()
    await redis.remove()
    await database.remove()
  }
}

export const bench: Bench = {
  bars: {
    'jobs.drain.graphile_worker': { atLeast: 2 },
    'jobs.drain.pg_boss': { atLeast: 3 },
    'jobs.drain.bullmq_redis': { atLeast: 4 },
    'jobs.drain.bullmq_postgres': { atLeast: 30 },
    'jobs.bulk.graphile_worker': { atLeast: 1.8 },
    'jobs.bulk.pg_boss': { atLeast: 2 },
    'jobs.bulk.bullmq_redis': { atLeast: 3 },
    'jobs.idle.graphile_worker': { atMost: 0.83 },
    'jobs.cpu.graphile_worker': { atMost: 0.5 },
    'jobs.held.first': { atLeast: 0.8 },
    'jobs.dead_rows': { atMost: 1 },
    'jobs.claim.million': { atLeast: 0.8 },
  },
  run,
}
