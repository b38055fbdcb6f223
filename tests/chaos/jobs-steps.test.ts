import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { anyDatabase, randomness, witness } from './arena.ts'
import { saga, sagaSteps } from './jobs-process.ts'
import { prepare, standstills, stood, unexplained, until, worker } from './jobs-workers.ts'
import type { Fault, JobsProcess, Ran } from './jobs-workers.ts'

const long = process.env['FORGE_TEST_LONG'] !== undefined

it('jobs of several steps end although their processes are killed in the middle: what is recorded is not done again', async () => {
  await using database = await anyDatabase()
  await using db = witness(database.url)
  const jobs = await prepare(db)
  const random = randomness()
  const all: JobsProcess[] = []
  const start = async (name: string): Promise<JobsProcess> => {
    const options = { leaseMs: 2500, concurrency: 5, rescueBackoff: { baseMs: 1, capMs: 50 } }
    const started = await worker(database.url, name, options)
    all.push(started)
    return started
  }
  const fleet = await Promise.all(['first', 'second', 'third'].map((name) => start(name)))
  const faults: Fault[] = []
  using _ = standstills(800, (fault) => faults.push(fault))
  try {
    const count = long ? 300 : 60
    await jobs.enqueueMany(
      saga,
      Array.from({ length: count }, (_, n) => ({ payload: { n } })),
    )
    for (let kills = 0; kills < (long ? 20 : 6); kills++) {
      await sleep(200 + 500 * random())
      const place = Math.floor(random() * fleet.length)
      const { pid, name, kill, exit } = fleet[place]!
      const fault: Fault = { what: 'kill -9', pid, fromMs: Date.now(), untilMs: Number.POSITIVE_INFINITY }
      faults.push(fault)
      kill('SIGKILL')
      await exit
      fault.untilMs = Date.now()
      fleet[place] = await start(name)
    }
    const open = async (): Promise<number> => {
      const { rows } = await db.query<{ n: number }>('select count(*)::int as n from forge_jobs')
      return rows[0]!.n
    }
    await until('all have ended', async () => (await open()) === 0, 240_000)

    const { rows: outputs } = await db.query<{ sum: number; children: number }>(
      `select (output ->> 'sum')::int as sum, (output ->> 'children')::int as children from forge_jobs_done where kind = $1`,
      [saga.kind],
    )
    expect(outputs).toHaveLength(count)
    expect(new Set(outputs.map(({ sum, children }) => `${sum} ${children}`))).toEqual(new Set(['10 2']))
    const { rows: runs } = await db.query<Ran>(
      'select n, worker, (extract(epoch from began) * 1000)::float8 as "atMs" from effects order by began',
    )
    // Each step and each child has left its trace; twice only where its process was killed just then.
    const places = [...Array.from({ length: sagaSteps + 1 }, (_, place) => place), 8, 9]
    const wanted = Array.from({ length: count }, (_, n) => places.map((place) => n * 10 + place)).flat()
    expect([...new Set(runs.map(({ n }) => n))].toSorted((a, b) => a - b)).toEqual(wanted)
    expect(unexplained(runs, [...faults, ...all.flatMap(stood)], 1000)).toEqual([])
    const again = runs.length - wanted.length
    console.info(
      `${count} jobs, ${wanted.length} steps and children, ${again} of them again after ${faults.length} faults`,
    )
    // What shares the transaction of its result is there once, whatever happened.
    expect(runs.filter(({ n }) => n % 10 === sagaSteps)).toHaveLength(count)
    const { rows: left } = await db.query<{ n: number }>('select count(*)::int as n from forge_jobs_steps')
    expect(left[0]!.n).toBe(0)
  } finally {
    for (const each of fleet) await each[Symbol.asyncDispose]()
  }
}, 600_000)
