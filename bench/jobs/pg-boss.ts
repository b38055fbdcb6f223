import pg from 'pg'
import { PgBoss } from 'pg-boss'
import type { Contestant } from './contestant.ts'

const queue = 'mail'

/** Its fastest documented settings: a table of its own, notifications, batches, and the next one at once after a full one. */
export async function pgBoss(url: string): Promise<Contestant> {
  const pool = new pg.Pool({ connectionString: url, max: 1 })
  pool.on('error', () => {})
  const boss = new PgBoss({ connectionString: url, max: 10, useListenNotify: true, supervise: false, schedule: false })
  boss.on('error', () => {})
  await boss.start()
  await boss.createQueue(queue, { partition: true, notify: true })
  return {
    name: 'pg-boss',
    schema: 'pgboss',
    add: (payload) => boss.send(queue, payload),
    addMany: (payloads) =>
      boss.insert(
        queue,
        payloads.map((data) => ({ data })),
      ),
    work: async (ledger) => {
      await boss.work<Parameters<typeof ledger.ran>[0]>(
        queue,
        { batchSize: 1000, burstWhenBatchFull: true, localConcurrency: 2, pollingIntervalSeconds: 0.5 },
        async (jobs) => {
          for (const { data } of jobs) ledger.ran(data)
        },
      )
      return () => boss.offWork(queue, { wait: true })
    },
    open: async () =>
      (
        await pool.query(`select exists (select from pgboss.job where name = $1 and state < 'completed') as open`, [
          queue,
        ])
      ).rows[0].open as boolean,
    clear: () => boss.deleteAllJobs(queue),
    close: async () => {
      await boss.stop({ graceful: false, close: true })
      await pool.end()
    },
  }
}
