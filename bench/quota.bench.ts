/** Takes per second of one hot tenant against a counter row that each caller updates with a statement of its own. */
import pg from 'pg'
import { createApp, defineConfig } from 'tsforge'
import { definePlan, quota, quotaPort } from 'tsforge/quota'
import { accounts } from 'tsforge/accounts'
import type { Bench, Settings } from './bench.ts'
import { openDatabase } from './database.ts'
import { claim } from './statistics.ts'
import type { Claim } from './statistics.ts'

const callers = 64
const connections = 10
const limit = 1_000_000_000
const tenant = { kind: 'tenant', id: '0198c0de-0000-7000-8000-000000000001' } as const

/** What one writes by hand, at its best: one statement, prepared, that counts no further than the limit. */
const takeOne = `insert into bench_usage (tenant, month, used) values ($1, date_trunc('month', now()), 1)
  on conflict (tenant, month) do update set used = bench_usage.used + 1 where bench_usage.used < $2 returning used`

async function rate(take: () => Promise<unknown>, seconds: number): Promise<number> {
  const begun = performance.now()
  const end = begun + seconds * 1000
  let done = 0
  const caller = async (): Promise<void> => {
    for (; performance.now() < end; done++) await take()
  }
  await Promise.all(Array.from({ length: callers }, caller))
  return (done * 1000) / (performance.now() - begun)
}

async function run({ rounds, seconds, note }: Settings): Promise<Claim[]> {
  const database = await openDatabase({ durable: true })
  const pool = new pg.Pool({ connectionString: database.url, max: connections })
  pool.on('error', () => {})
  const plan = definePlan({ name: 'only', quotas: { calls: [{ limit, per: 'month' }] } })
  const app = await createApp({
    config: defineConfig({ name: 'bench', features: [accounts(), quota({ plans: [plan], defaultPlan: 'only' })] }),
    env: { DATABASE_URL: database.url, DATABASE_POOL_MAX: String(connections), FORGE_LOG_LEVEL: 'silent' },
  })
  try {
    await app.open()
    await pool.query(
      'create table bench_usage (tenant uuid, month timestamptz, used bigint not null, primary key (tenant, month))',
    )
    const taken = { ours: 0, byHand: 0 }
    const takes = {
      ours: async () => void (await app.get(quotaPort).take(tenant, 'calls'), taken.ours++),
      byHand: async () => {
        const { rowCount } = await pool.query({ name: 'take', text: takeOne, values: [tenant.id, limit] })
        if (rowCount === 1) taken.byHand++
      },
    }
    const results = { ours: [] as number[], byHand: [] as number[] }
    for (let round = -1; round < rounds; round++) {
      const measured = { ours: await rate(takes.ours, seconds), byHand: await rate(takes.byHand, seconds) }
      note(`round ${round + 1}: together ${Math.round(measured.ours)}/s, by hand ${Math.round(measured.byHand)}/s`)
      if (round < 0) continue
      results.ours.push(measured.ours)
      results.byHand.push(measured.byHand)
    }
    // Neither may have lost or invented a unit.
    const usage = (await app.get(quotaPort).usage(tenant)).quotas[0]?.standings[0]?.used
    const { rows } = await pool.query<{ used: string }>('select used from bench_usage')
    if (usage !== taken.ours) throw new Error(`ours counted ${usage}, not ${taken.ours}`)
    if (Number(rows[0]?.used) !== taken.byHand) throw new Error('the counter by hand lost units')
    return [claim('quota.hot.by_hand', results.ours, results.byHand)]
  } finally {
    await app.stop()
    await pool.end()
    await database.remove()
  }
}

export const bench: Bench = { bars: { 'quota.hot.by_hand': { atLeast: 4 } }, run }
