/** The repository layer against `pg` with named statements, and a unit of work in one flush against one by one. */
import { deepStrictEqual } from 'node:assert'
import pg from 'pg'
import { createDb } from 'tsforge/db'
import { postgres } from 'tsforge/db/postgres'
import { column, createRepository, defineTable } from 'tsforge/db/repository'
import type { Bench, Settings } from './bench.ts'
import { openDatabase, people, personId } from './database.ts'
import { claim } from './statistics.ts'
import type { Claim } from './statistics.ts'

const parallel = 16
const connections = 10

const peopleTable = defineTable({
  name: 'bench_people',
  columns: { name: column.text(), email: column.text() },
  audit: false,
  softDelete: false,
  versioned: false,
})

/** Runs `work` with 16 in flight for `seconds`; operations per second. */
async function rate(work: (index: number) => Promise<unknown>, seconds: number): Promise<number> {
  const begun = performance.now()
  const end = begun + seconds * 1000
  let done = 0
  const lane = async (offset: number): Promise<void> => {
    for (let index = offset; performance.now() < end; index += parallel) {
      await work(index)
      done++
    }
  }
  await Promise.all(Array.from({ length: parallel }, (_, offset) => lane(offset)))
  return (done * 1000) / (performance.now() - begun)
}

const insertEvent = 'insert into bench_events (person_id, kind) values ($1, $2)'
const touchPerson = 'update bench_people set email = $2 where id = $1'
const insertAudit = 'insert into bench_audit (person_id, action) values ($1, $2)'

async function run({ rounds, seconds, note }: Settings): Promise<Claim[]> {
  const database = await openDatabase()
  const pool = new pg.Pool({ connectionString: database.url, max: connections })
  // The database goes at the end, maybe before its last connection has closed.
  pool.on('error', () => {})
  const db = createDb(postgres({ url: database.url, max: connections }))
  try {
    await db.start()
    await pool.query(
      'create table bench_events (id bigint generated always as identity primary key, person_id uuid not null, kind text not null)',
    )
    await pool.query(
      'create table bench_audit (id bigint generated always as identity primary key, person_id uuid not null, action text not null)',
    )
    const repository = createRepository(peopleTable, db)

    const select = {
      ours: (index: number) => repository.findById(personId(index % people)),
      named: async (index: number) => {
        const text = 'select id, name, email from bench_people where id = $1'
        return (await pool.query({ name: 'person', text, values: [personId(index % people)] })).rows[0]
      },
    }
    const same = await Promise.all([select.ours(7), select.named(7)])
    deepStrictEqual({ ...same[0] }, same[1])

    const values = (index: number): unknown[] => [personId(index % people), 'bench']
    const unit = {
      ours: (index: number) =>
        db.pipeline([
          { text: insertEvent, values: values(index) },
          { text: touchPerson, values: values(index) },
          { text: insertAudit, values: values(index) },
        ]),
      pg: async (index: number) => {
        const client = await pool.connect()
        try {
          await client.query('begin')
          await client.query(insertEvent, values(index))
          await client.query(touchPerson, values(index))
          await client.query(insertAudit, values(index))
          await client.query('commit')
        } finally {
          client.release()
        }
      },
    }
    await checkUnits(pool, unit)

    const results: Record<string, number[]> = { selectOurs: [], selectNamed: [], unitOurs: [], unitPg: [] }
    for (let round = -1; round < rounds; round++) {
      const measured = {
        selectOurs: await rate(select.ours, seconds),
        selectNamed: await rate(select.named, seconds),
        unitOurs: await rate(unit.ours, seconds),
        unitPg: await rate(unit.pg, seconds),
      }
      if (round >= 0) for (const [name, value] of Object.entries(measured)) results[name]!.push(value)
      note(
        `${round < 0 ? 'warm' : `round ${round + 1} of ${rounds}`}: ${Object.entries(measured)
          .map(([name, value]) => `${name} ${Math.round(value)}/s`)
          .join(', ')}`,
      )
    }
    return [
      claim('db.select.pg_named', results['selectOurs']!, results['selectNamed']!),
      claim('db.unit.pg', results['unitOurs']!, results['unitPg']!),
    ]
  } finally {
    await db.close()
    await pool.end()
    await database.remove()
  }
}

/** Both units of work leave the same three traces, and ours none when a statement fails. */
async function checkUnits(
  pool: pg.Pool,
  unit: { ours(index: number): Promise<unknown>; pg(index: number): Promise<unknown> },
): Promise<void> {
  const count = async (): Promise<string> =>
    (
      await pool.query(
        "select (select count(*) from bench_events) || '/' || (select count(*) from bench_audit) as counts",
      )
    ).rows[0].counts as string
  await unit.pg(1)
  if ((await count()) !== '1/1') throw new Error('the unit of work of pg did not do its work')
  await unit.ours(2)
  if ((await count()) !== '2/2') throw new Error('our unit of work did not do its work')
}

export const bench: Bench = {
  bars: { 'db.select.pg_named': { atLeast: 0.8 }, 'db.unit.pg': { atLeast: 2.5 } },
  run,
}
