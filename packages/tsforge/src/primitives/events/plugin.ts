import { defineFeature } from '../../http/feature.ts'
import type { Feature } from '../../http/feature.ts'
import type { Port } from '../../kernel/plugin.ts'
import { dbPort } from '../db/index.ts'
import { createEvents } from './create-events.ts'
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

/** The log of events of the app, and the dispatcher that delivers them to what its parts declare as `subscriptions`. */
export function events(given: EventsFeature = {}): Feature {
  return defineFeature<EventsOptions, { readonly db: typeof dbPort }, Events>({
    name: 'events',
    options: eventsOptions,
    needs: { db: dbPort },
    provides: eventsPort as Port<Events>,
    errors: eventsErrors,
    setup: async ({ options, clock, log, app, db }) => {
      const { source = `/${app.name}`, dataLimit, pollMs } = options
      const driver = given.driver ?? (await import('./drivers/memory.ts')).memory({ clock, db })
      return createEvents(driver, { source, dataLimit, pollMs, clock, log })
    },
    start: (service) => service.start(),
    stop: (service) => service.close(),
  })
}
