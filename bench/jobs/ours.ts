import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { systemClock } from 'tsforge/clock'
import { createDb } from 'tsforge/db'
import type { Db } from 'tsforge/db'
import { createMigrator } from 'tsforge/db/migrate'
import { postgres as database } from 'tsforge/db/postgres'
import { createJobs, createRunner, defineJob, handle } from 'tsforge/jobs'
import type { Jobs } from 'tsforge/jobs'
import { postgres } from 'tsforge/jobs/postgres'
import { silentLog } from 'tsforge/log'
import { createMetrics } from 'tsforge/metrics'
import { Type } from 'tsforge/schema'
import type { Contestant, Payload } from './contestant.ts'

/** What a tracer listens to. */
const traced = ['job.added', 'job.started', 'job.finished', 'tsforge:db:query']

const schema = Type.Object({ n: Type.Integer(), to: Type.String(), subject: Type.String(), about: Type.String() })

export interface Ours extends Contestant {
  readonly jobs: Jobs
  readonly db: Db
}

/** As an app has it: schema, metrics and tracing channels on. `history`: finished jobs are kept, which is the default. */
export async function ours(url: string, history = false): Promise<Ours> {
  const [db, other] = [createDb(database({ url })), createDb(database({ url, max: 2 }))]
  const directory = join(dirname(fileURLToPath(import.meta.resolve('tsforge/jobs'))), 'migrations')
  const sources = [{ module: 'jobs', directory }]
  await createMigrator({ connect: () => db.connect(), sources, clock: systemClock, log: silentLog }).up()
  const jobs = createJobs(postgres({ db }))
  const elsewhere = createJobs(postgres({ db: other }))
  await jobs.start()
  const mail = defineJob({ kind: 'mail.send', schema, keepDone: history })
  let traces = 0
  const trace = (): void => void traces++
  for (const name of traced) subscribe(name, trace)
  const bulk = (payloads: readonly Payload[]): Promise<unknown> =>
    jobs.enqueueMany(
      mail,
      payloads.map((payload) => ({ payload })),
    )
  return {
    name: history ? 'ours with history' : 'ours',
    schema: 'public',
    jobs,
    db,
    add: (payload) => jobs.enqueue(mail, payload),
    addElsewhere: (payload) => elsewhere.enqueue(mail, payload),
    addMany: bulk,
    work: async (ledger) => {
      const runner = createRunner({
        jobs,
        handlers: [handle(mail, async ({ payload }) => ledger.ran(payload))],
        options: { concurrency: 100 },
        metrics: createMetrics(),
      })
      runner.start()
      return async () => {
        await runner.drain()
        await runner.stop()
      }
    },
    open: () => some(db, 'select exists (select from forge_jobs) as open'),
    clear: () =>
      db.query('truncate forge_jobs, forge_jobs_leases, forge_jobs_done, forge_jobs_dead, forge_jobs_waiting'),
    close: async () => {
      for (const name of traced) unsubscribe(name, trace)
      await Promise.all([jobs.close(), elsewhere.close()])
      await Promise.all([db.close(), other.close()])
    },
  }
}

async function some(db: Db, text: string): Promise<boolean> {
  const { rows } = await db.query<{ open: boolean }>(text)
  return rows[0]!.open
}
