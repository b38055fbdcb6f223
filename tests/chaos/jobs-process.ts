/**
 * One process that runs jobs and writes what they do to a ledger in the same database. It tells its parent how runs end
 * that are not simply done, ends at SIGTERM as an app does, and at nothing else.
 */
import { subscribe } from 'node:diagnostics_channel'
import { setTimeout as sleep } from 'node:timers/promises'
import { createDb } from 'tsforge/db'
import type { Queryable } from 'tsforge/db'
import { postgres as database } from 'tsforge/db/postgres'
import { createJobs, createRunner, defineJob, handle } from 'tsforge/jobs'
import type { Job, JobFinished, JobsDriver, RunnerOptions } from 'tsforge/jobs'
import { postgres } from 'tsforge/jobs/postgres'

export interface Effect {
  readonly n: number
  /** Of a run. */
  readonly tookMs: number
  /** Its first attempt takes until the parent says so. */
  readonly held?: boolean
  /** Whether it heeds its signal; default it does. */
  readonly deaf?: boolean
}

/** Told to the parent. */
export type Told =
  | { readonly ready: true }
  | { readonly began: number }
  /** It stood still, or waited for the database for long, as on a busy machine. */
  | { readonly stood: { readonly fromMs: number; readonly untilMs: number } }
  | { readonly ended: number; readonly as: JobFinished['outcome'] }

const few = { maxAttempts: 1000, backoff: { baseMs: 1, capMs: 50 } }
/** Writes that it has run, then takes its time. */
export const effect: Job<Effect> = defineJob<Effect>({ kind: 'chaos.effect', ...few })
/** The same where keys take turns. */
export const turn: Job<Effect> = defineJob<Effect>({ kind: 'chaos.turn', queue: 'turns', ...few })

/** Steps that write to the ledger one after the other, apart from one another and in the transaction of their result. */
export const saga: Job<{ readonly n: number }> = defineJob<{ readonly n: number }>({ kind: 'chaos.saga', ...few })
/** Of `saga`, before its children. Each has ten numbers of the ledger for itself. */
export const sagaSteps = 4

export const ledger = `
  create table effects (
    n integer not null, key text, worker integer not null, attempt integer not null,
    began timestamptz not null default clock_timestamp(), ended timestamptz
  );
  create index on effects (n);
  create table orders (n integer primary key)`

/** What stands between two looks, or between a call and its answer, leaves leases without a heartbeat. */
const longMs = 800

/** Tells of calls whose answer took long: leases may have run out meanwhile. */
function watched(driver: JobsDriver, tell: (told: Told) => void): JobsDriver {
  const around =
    <Args extends unknown[], Result>(call: (...args: Args) => Promise<Result>) =>
    async (...args: Args): Promise<Result> => {
      const fromMs = Date.now()
      try {
        return await call(...args)
      } finally {
        const untilMs = Date.now()
        if (untilMs - fromMs > longMs) tell({ stood: { fromMs, untilMs } })
      }
    }
  return Object.assign(driver, {
    step: around(driver.step.bind(driver)),
    heartbeat: around(driver.heartbeat.bind(driver)),
  })
}

async function main([url, name, options]: readonly [string, string, string]): Promise<void> {
  const db = createDb(database({ url, max: 6, applicationName: name }))
  const tell = (told: Told): void => void process.send?.(told)
  const jobs = createJobs(watched(postgres({ db }), tell))
  const released = Promise.withResolvers<void>()
  process.once('message', () => released.resolve())
  const numbers = new Map<number, number>()
  subscribe('job.finished', (message) => {
    const { id, outcome } = message as JobFinished
    if (outcome !== 'done') tell({ ended: numbers.get(id) ?? -1, as: outcome })
    numbers.delete(id)
  })
  const handlers = [effect, turn].map((job) =>
    handle(job, async ({ payload: { n, tookMs, held, deaf }, job: { id, key }, attempt, signal }) => {
      numbers.set(id, n)
      const place = await db.query<{ ctid: string }>(
        'insert into effects (n, key, worker, attempt) values ($1, $2, $3, $4) returning ctid::text',
        [n, key, process.pid, attempt],
      )
      tell({ began: n })
      if (held === true && attempt === 1) await released.promise
      else await sleep(tookMs, undefined, deaf === true ? {} : { signal })
      if (job === turn)
        await db.query('update effects set ended = clock_timestamp() where ctid = $1::tid', [place.rows[0]!.ctid])
      return process.pid
    }),
  )
  handlers.push(
    handle(saga, async ({ payload: { n }, attempt, step }) => {
      const write = (to: Queryable, place: number): Promise<unknown> =>
        to.query('insert into effects (n, worker, attempt) values ($1, $2, $3)', [n * 10 + place, process.pid, attempt])
      let sum = 0
      for (let place = 0; place < sagaSteps; place++) {
        sum += await step.run(`run-${place}`, async () => {
          await write(db, place)
          await sleep(20)
          return place
        })
        if (place === 1) await step.sleep('pause', '50ms')
      }
      sum += await step.tx('both', async (tx) => {
        await write(tx, sagaSteps)
        await sleep(10)
        return sagaSteps
      })
      const children = await step.fanOut<Effect, number>('children', effect, [
        { n: n * 10 + 8, tookMs: 5 },
        { n: n * 10 + 9, tookMs: 5 },
      ])
      return { sum, children: (await step.join(children)).length }
    }),
  )
  const runner = createRunner({ jobs, handlers, options: JSON.parse(options) as RunnerOptions })
  process.once('SIGTERM', () => {
    void (async () => {
      await runner.drain()
      await runner.stop()
      await db.close()
      process.exit(0)
    })()
  })
  process.once('disconnect', () => process.exit(1))
  let lastMs = Date.now()
  setInterval(() => {
    const now = Date.now()
    if (now - lastMs > longMs) tell({ stood: { fromMs: lastMs, untilMs: now } })
    lastMs = now
  }, 50)
  runner.start()
  tell({ ready: true })
}

if (process.argv[1] === import.meta.filename) await main(process.argv.slice(2) as [string, string, string])
