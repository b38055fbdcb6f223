import { EventEmitter } from 'node:events'
import { Logger, makeWorkerUtils, run } from 'graphile-worker'
import pg from 'pg'
import type { Contestant, Payload } from './contestant.ts'

/** Its fastest documented settings: a local queue, and ends of jobs stored in batches. */
export async function graphile(url: string): Promise<Contestant> {
  const pool = new pg.Pool({ connectionString: url, max: 10 })
  pool.on('error', () => {})
  pool.on('connect', (client) => void client.on('error', () => {}))
  const logger = new Logger(() => () => {})
  const preset = {
    worker: {
      connectionString: url,
      concurrentJobs: 24,
      maxPoolSize: 10,
      localQueue: { size: 500 },
      completeJobBatchDelay: 0,
      failJobBatchDelay: 0,
      logger,
    },
  }
  const utils = await makeWorkerUtils({ pgPool: pool, logger })
  await utils.migrate()
  return {
    name: 'graphile-worker',
    schema: 'graphile_worker',
    add: (payload) => utils.addJob('mail', payload),
    addMany: (payloads) => utils.addJobs(payloads.map((payload) => ({ identifier: 'mail', payload }))),
    work: async (ledger) => {
      const runner = await run({
        preset,
        events: new EventEmitter(),
        noHandleSignals: true,
        taskList: { mail: async (payload) => ledger.ran(payload as Payload) },
      })
      return () => runner.stop()
    },
    open: async () =>
      (await pool.query('select exists (select from graphile_worker._private_jobs) as open')).rows[0].open as boolean,
    clear: () => pool.query('truncate graphile_worker._private_jobs'),
    close: async () => {
      await utils.release()
      await pool.end()
    },
  }
}
