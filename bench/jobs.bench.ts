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
  readonly rounds: number
  readonly seq: number
  readonly wide: number
  readonly small: number
  readonly large: number
  readonly idle: number
  readonly held: number
  readonly million: number
}

const full: Amounts = {
  rounds: 3,
  seq: 200,
  wide: 2000,
  small: 20_000,
  large: 100_000,
  idle: 150,
  held: 3,
  million: 1_000_000,
}
const quick: Amounts = {
  rounds: 1,
  seq: 100,
  wide: 1000,
  small: 10_000,
  large: 30_000,
  idle: 60,
  held: 1,
  million: 200_000,
}

type Measures = Map<string, number[]>

function put(measures: Measures, name: string, value: number): void {
  const values = measures.get(name)
  if (values === undefined) measures.set(name, [value])
  else values.push(value)
}

const whole = (value: number): string => Math.round(value).toLocaleString('en')

/** One contestant's part of a round. */
async function round(
  contestant: Contestant,
  amounts: Amounts,
  watched: Watched,
  measures: Measures,
  note: Settings['note'],
): Promise<void> {
  const { name } = contestant
  const small = name === 'BullMQ on PostgreSQL' ? amounts.small / 10 : amounts.small
  await contestant.clear()
  const seq = await adds(contestant, amounts.seq, 1)
  const wide = await adds(contestant, amounts.wide, 32)
  await contestant.clear()
  await bulk(contestant, small)
  const { rate: drained } = await drain(contestant, small)
  await contestant.clear()
  const took = await idle(contestant, amounts.idle, true)
  const near = contestant.addElsewhere === undefined ? took : await idle(contestant, amounts.idle, false)
  await contestant.clear()
  put(measures, `seq ${name}`, seq)
  put(measures, `wide ${name}`, wide)
  put(measures, `small ${name}`, drained)
  put(measures, `idle ${name}`, took)
  put(measures, `near ${name}`, near)
  // It would take a minute.
  const large = small === amounts.small ? amounts.large : small
  put(measures, `bulk ${name}`, await bulk(contestant, large))
  const { rate, cpu } = await drain(contestant, large, watched.cpuSeconds)
  await contestant.clear()
  put(measures, `drain ${name}`, rate)
  if (cpu !== undefined) put(measures, `cpu ${name}`, cpu)
  note(
    `${name}: ${whole(seq)}/s one by one, ${whole(wide)}/s 32 wide, ${whole(measures.get(`bulk ${name}`)!.at(-1)!)}/s in bulk; ` +
      `drained ${whole(drained)}/s of ${whole(small)}, ${whole(rate)}/s of ${whole(large)}; idle ${took.toFixed(2)} ms` +
      `${near === took ? '' : ` (${near.toFixed(2)} ms in the same process)`}; ${cpu === undefined ? '' : `${cpu.toFixed(4)} s of processors per 1000`}`,
  )
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
  note(`${database.version}, ${redis.version}`)
  const { url } = database
  // Before all else: what other sessions have counted comes in for seconds after.
  const deaths = await dead(() => ours(url), amounts.small, watched, note)
  await dead(() => graphile(url), amounts.small, watched, note)
  await dead(() => pgBoss(url), amounts.small, watched, note)
  const own = await ours(url)
  const contestants: readonly Contestant[] = [
    own,
    await graphile(url),
    await pgBoss(url),
    await bullmqRedis(redis.url),
    await bullmqPostgres(url),
  ]
  const history = await ours(url, true)
  const [, rival] = contestants
  const measures: Measures = new Map()
  const of = (measure: string, name: string): readonly number[] => measures.get(`${measure} ${name}`) ?? []
  try {
    // Compiled and connected, and it does what it shall.
    for (const contestant of contestants) {
      const count = contestant.name === 'BullMQ on PostgreSQL' ? 500 : 5000
      await bulk(contestant, count)
      await drain(contestant, count)
    }
    for (let turn = 0; turn < amounts.rounds; turn++) {
      note(`round ${turn + 1} of ${amounts.rounds}`)
      // Another one begins each round.
      for (let place = 0; place < contestants.length; place++)
        await round(contestants[(place + turn) % contestants.length]!, amounts, watched, measures, note)
      await bulk(history, amounts.large)
      put(measures, `drain ${history.name}`, (await drain(history, amounts.large)).rate)
      await history.clear()
    }
    note(`ours with history: drained ${of('drain', history.name).map(whole).join(', ')} /s`)
    const [first, last]: [number[], number[]] = [[], []]
    for (let turn = 0; turn < amounts.held; turn++) {
      const rates = await held(own, watched, note)
      first.push(rates[0]!)
      last.push(rates.at(-1)!)
    }
    await held(rival!, watched, note)
    const { few, many } = await claimRates(own, amounts.million)
    note(
      `claims of 100: ${few.map(whole).join(', ')} jobs/s of 1,000, ${many.map(whole).join(', ')} of ${whole(amounts.million)}`,
    )

    const against = (measure: string, name: string, title: string): Claim =>
      claim(`jobs.${title}`, of(measure, 'ours'), of(measure, name))
    const withCpu = of('cpu', 'ours').length > 0
    return [
      against('drain', 'graphile-worker', 'drain.graphile_worker'),
      against('drain', 'pg-boss', 'drain.pg_boss'),
      against('drain', 'BullMQ', 'drain.bullmq_redis'),
      against('drain', 'BullMQ on PostgreSQL', 'drain.bullmq_postgres'),
      claim('jobs.drain_history.pg_boss', of('drain', history.name), of('drain', 'pg-boss')),
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
      against('near', 'BullMQ', 'idle_same_process.bullmq_redis'),
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
    'jobs.seq.graphile_worker': { atLeast: 1.8 },
    'jobs.seq.pg_boss': { atLeast: 2 },
    'jobs.seq.bullmq_redis': { atLeast: 0.55 },
    'jobs.wide.bullmq_redis': { atLeast: 1 },
    'jobs.idle.graphile_worker': { atMost: 0.83 },
    'jobs.idle.pg_boss': { atMost: 0.62 },
    'jobs.idle_same_process.bullmq_redis': { atMost: 1 },
    'jobs.cpu.graphile_worker': { atMost: 0.5 },
    'jobs.cpu.pg_boss': { atMost: 0.25 },
    'jobs.held.first': { atLeast: 0.8 },
    'jobs.dead_rows': { atMost: 1 },
    'jobs.claim.million': { atLeast: 0.8 },
  },
  run,
}
