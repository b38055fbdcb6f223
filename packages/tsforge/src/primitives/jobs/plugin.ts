import { defineFeature } from '../../http/feature.ts'
import type { Feature } from '../../http/feature.ts'
import type { Port, Toolbox } from '../../kernel/plugin.ts'
import { dbPort } from '../db/index.ts'
import type { Db } from '../db/index.ts'
import { createJobs } from './create-jobs.ts'
import type { JobsDriver, QueueSettings } from './driver.ts'
import { jobsErrors } from './errors.ts'
import { jobsPort } from './jobs.ts'
import type { Jobs } from './jobs.ts'
import { jobsOptions } from './options.ts'
import type { JobsOptions } from './options.ts'
import { Worker } from './worker.ts'

export interface JobsFeature {
  /** What holds for these queues in all processes; written at each start. */
  readonly queues?: Readonly<Record<string, QueueSettings>>
  /** In place of the one that the options choose. */
  readonly driver?: JobsDriver
}

/** The plugin itself knows more of the service than its users do. */
export interface RunningJobs extends Jobs {
  readonly worker: Worker
}

/** The queue of the app, and the worker that runs what its parts declare as `jobs`. */
export function jobs(given: JobsFeature = {}): Feature {
  return defineFeature<JobsOptions, { readonly db: typeof dbPort }, RunningJobs>({
    name: 'jobs',
    options: jobsOptions,
    needs: { db: dbPort },
    provides: jobsPort as Port<RunningJobs>,
    errors: jobsErrors,
    migrations: { module: 'jobs', directory: new URL('./migrations/', import.meta.url) },
    setup: async (parts) => {
      const { options, clock, log, metrics } = parts
      const driver = given.driver ?? (await chooseDriver(parts))
      const service = createJobs(driver, {
        payloadLimit: options.payloadLimit,
        ...(given.queues !== undefined && { queues: given.queues }),
      })
      return Object.assign(service, { worker: new Worker({ jobs: service, options, clock, log, metrics }) })
    },
    start: (service) => service.start(),
    stop: (service) => service.close(),
    // Jobs wait for the database as everything does, and its own check tells of it.
    health: async ({ worker }) => ({ ok: true, ...(worker.failing && { detail: 'degraded' }) }),
    worker: {
      declare: ({ worker }, declared) => worker.declare(declared),
      start: ({ worker }) => worker.start(),
      drain: ({ worker }, signal) => worker.drain(signal),
      stop: ({ worker }) => worker.stop(),
    },
  })
}

/** Only the code of the chosen one is loaded. */
async function chooseDriver({
  options,
  clock,
  db,
}: Pick<Toolbox<JobsOptions>, 'options' | 'clock'> & { readonly db: Db }): Promise<JobsDriver> {
  if (options.driver === 'memory') return (await import('./drivers/memory.ts')).memory({ clock })
  return (await import('./drivers/postgres.ts')).postgres({ db, clock })
}
