import type { Clock } from '../../../kernel/clock.ts'
import type { MigrationSource } from '../../../kernel/plugin.ts'
import { testDb } from '../../../testing/db.ts'
import type { TestDb } from '../../../testing/db.ts'
import type { Db } from '../../db/index.ts'
import type { JobsLab } from '../contract.ts'
import type { NewJob } from '../driver.ts'
import { postgres } from '../drivers/postgres.ts'

export const migrations: MigrationSource = { module: 'jobs', directory: new URL('../migrations/', import.meta.url) }

/** A clock by which each scan is long ago, so that every claim looks everywhere. */
export function fullScans(): Pick<Clock, 'monotonic'> {
  let now = 0
  return { monotonic: () => (now += 10_000_000) }
}

/** Lets time pass in the database by moving what it has stored. */
export async function pass(db: Db, ms: number): Promise<void> {
  const by = `interval '${ms} milliseconds'`
  await db.query(`
    update forge_jobs set run_at = run_at - ${by}, created_at = created_at - ${by};
    update forge_jobs_leases set until = until - ${by};
    update forge_jobs_rates set tat = tat - ${by};
    update forge_jobs_throttles set until = until - ${by};
    update forge_jobs_waiting set until = until - ${by};
    update forge_jobs_dead set died_at = died_at - ${by}`)
}

export async function clear(db: Db): Promise<void> {
  await db.query(`truncate forge_jobs, forge_jobs_leases, forge_jobs_dead, forge_jobs_done, forge_jobs_queues,
    forge_jobs_rates, forge_jobs_throttles, forge_jobs_cancels, forge_jobs_progress, forge_jobs_waiting`)
}

export async function postgresLab(): Promise<JobsLab & { readonly db: TestDb }> {
  const db = await testDb({ migrations: [migrations] })
  return {
    db,
    driver: postgres({ db, clock: fullScans() }),
    pass: (ms) => pass(db, ms),
    clear: () => clear(db),
    close: async () => db[Symbol.asyncDispose](),
  }
}

export function job(values: Partial<NewJob> = {}): NewJob {
  return { kind: 'k', queue: 'q', payload: '{}', priority: 3, maxAttempts: 3, delayMs: 0, ...values }
}
