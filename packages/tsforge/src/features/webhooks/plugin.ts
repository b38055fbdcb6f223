import { createCursors } from '../../http/cursors.ts'
import type { Cursors } from '../../http/cursors.ts'
import { defineFeature } from '../../http/feature.ts'
import type { Feature } from '../../http/feature.ts'
import type { Port } from '../../kernel/plugin.ts'
import { dbPort } from '../../primitives/db/index.ts'
import { egressPort } from '../../primitives/egress/index.ts'
import { eventsPort } from '../../primitives/events/index.ts'
import type { EventType } from '../../primitives/events/index.ts'
import { jobsPort } from '../../primitives/jobs/index.ts'
import { createWebhooks } from './create-webhooks.ts'
import type { RunningWebhooks } from './create-webhooks.ts'
import { webhooksErrors } from './errors.ts'
import { webhooksOptions } from './options.ts'
import type { WebhooksOptions } from './options.ts'
import { webhooksPermissions, webhooksRoutes } from './routes.ts'
import { webhooksPort } from './webhooks.ts'

export interface WebhooksFeature {
  /**
   * Events of the app that customers may have sent to them; nothing else ever leaves it. Those of a tenant go to its own
   * endpoints alone.
   */
  readonly events?: readonly EventType<never>[]
}

interface Needs {
  readonly db: typeof dbPort
  readonly egress: typeof egressPort
  readonly events: typeof eventsPort
  readonly jobs: typeof jobsPort
  readonly [name: string]: Port<unknown>
}

type Service = RunningWebhooks & { readonly cursors: Cursors }

/** Outgoing webhooks of tenants, and their routes under `/api/v1/webhooks`. */
export function webhooks({ events: types = [] }: WebhooksFeature = {}): Feature {
  return defineFeature<WebhooksOptions, Needs, Service>({
    name: 'webhooks',
    options: webhooksOptions,
    needs: { db: dbPort, egress: egressPort, events: eventsPort, jobs: jobsPort },
    provides: webhooksPort as Port<Service>,
    errors: webhooksErrors,
    permissions: webhooksPermissions,
    migrations: { module: 'webhooks', directory: new URL('./migrations/', import.meta.url) },
    setup: (parts) =>
      Object.assign(createWebhooks({ ...parts, types, source: `/${parts.app.name}` }), {
        cursors: createCursors(parts.secrets),
      }),
    start: (service) => service.begin(),
    stop: (service) => service.end(),
    routes: webhooksRoutes,
    jobs: (service) => service.handlers,
    subscriptions: (service) => [service.subscription],
  })
}
