import { defineFeature } from '../../http/feature.ts'
import type { Feature } from '../../http/feature.ts'
import type { Port, Toolbox } from '../../kernel/plugin.ts'
import { dbPort } from '../db/index.ts'
import type { Db } from '../db/index.ts'
import { jobsPort } from '../jobs/index.ts'
import { createEvents } from './create-events.ts'
import { Worker } from './delivery-worker.ts'
import type { EventsDriver } from './driver.ts'
import { eventsErrors } from './errors.ts'
import { eventsOptions } from './options.ts'
import type { EventsOptions } from './options.ts'
import { eventsPort } from './outbox.ts'
import type { Events } from './outbox.ts'

export interface EventsFeature {
  /** In place of the one that the options choose. */
  readonly driver?: EventsDriver
}

/** The plugin itself knows more of the service than its users do. */
export interface RunningEvents extends Events {
  readonly worker: Worker
}

/** The log of events of the app, and the dispatcher that delivers them to what its parts declare as `subscriptions`. */
export function events(given: EventsFeature = {}): Feature {
  return defineFeature<EventsOptions, { readonly db: typeof dbPort; readonly jobs: typeof jobsPort }, RunningEvents>({
    name: 'events',
    options: eventsOptions,
    needs: { db: dbPort, jobs: jobsPort },
    provides: eventsPort as Port<RunningEvents>,
    errors: eventsErrors,
    migrations: { module: 'events', directory: new URL('./migrations/', import.meta.url) },
    setup: async (parts) => {
      const { options, clock, log, metrics, app, jobs } = parts
      const { source = `/${app.name}`, dataLimit, pollMs } = options
      const driver = given.driver ?? (await chooseDriver(parts))
      const service = createEvents(driver, { source, dataLimit, pollMs, clock, log })
      return Object.assign(service, { worker: new Worker({ events: service, jobs, options, clock, log, metrics }) })
    },
    start: (service) => service.start(),
    stop: (service) => service.close(),
    // Events wait for the database as everything does, and its own check tells of it.
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
}: Pick<Toolbox<EventsOptions>, 'options' | 'clock'> & { readonly db: Db }): Promise<EventsDriver> {
  if (options.driver === 'memory') return (await import('./drivers/memory.ts')).memory({ clock, db })
  return (await import('./drivers/postgres.ts')).postgres({ db })
}
