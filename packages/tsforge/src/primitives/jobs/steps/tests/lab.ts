import { createJobs } from '../../create-jobs.ts'
import { memory } from '../../drivers/memory.ts'
import { postgres } from '../../drivers/postgres.ts'
import type { Jobs } from '../../jobs.ts'
import { createRunner } from '../../runner/create-runner.ts'
import type { Runner } from '../../runner/runner.ts'
import type { JobHandler } from '../../runner/handler.ts'
import type { RunnerOptions } from '../../runner/settings.ts'
import { clear, fullScans, migrations, pass } from '../../tests/lab.ts'
import { testDb } from '../../../../testing/db.ts'
import type { TestDb } from '../../../../testing/db.ts'
import type { StepDriver } from '../store.ts'

/** A store for jobs with steps, and runners over it. */
export interface StepLab {
  jobs: Jobs
  driver: StepDriver
  readonly db: TestDb | undefined
  /** A process that comes new to the store. */
  runner(handlers: readonly JobHandler[], options?: RunnerOptions): Runner
  /** Runs what is due, as a new process, until nothing is. */
  settle(...handlers: readonly JobHandler[]): Promise<number>
  pass(ms: number): Promise<void>
  clear(): Promise<void>
  close(): Promise<void>
}

export const stores: readonly (readonly [name: string, create: () => Promise<StepLab>])[] = [
  ['memory', memoryLab],
  ['postgres', postgresLab],
]

export async function memoryLab(): Promise<StepLab> {
  let now = 1_800_000_000_000
  const fresh = (): StepDriver => memory({ clock: { now: () => now } })
  return labOf(
    fresh(),
    undefined,
    async (ms) => void (now += ms),
    async (lab) => void (lab.driver = fresh()),
  )
}

export async function postgresLab(): Promise<StepLab> {
  const db = await testDb({ migrations: [migrations] })
  return labOf(
    postgres({ db, clock: fullScans() }),
    db,
    async (ms) => {
      await pass(db, ms)
      const by = `interval '${ms} milliseconds'`
      await db.query(`update forge_jobs_steps set due = due - ${by}; update forge_jobs_signals set at = at - ${by}`)
    },
    async () => {
      await clear(db)
      await db.query('truncate forge_jobs_steps, forge_jobs_signals, forge_jobs_members')
    },
  )
}

function labOf(
  driver: StepDriver,
  db: TestDb | undefined,
  passed: (ms: number) => Promise<void>,
  cleared: (lab: StepLab) => Promise<void>,
): StepLab {
  const lab: StepLab = {
    driver,
    jobs: createJobs(driver),
    db,
    runner: (handlers, options = {}) => createRunner({ jobs: lab.jobs, handlers, options }),
    settle: async (...handlers) => {
      const runner = lab.runner(handlers)
      try {
        return await runner.runUntilIdle()
      } finally {
        await runner.stop()
      }
    },
    pass: passed,
    clear: async () => {
      await cleared(lab)
      lab.jobs = createJobs(lab.driver)
      await lab.jobs.start()
    },
    close: async () => db?.[Symbol.asyncDispose](),
  }
  return lab
}
