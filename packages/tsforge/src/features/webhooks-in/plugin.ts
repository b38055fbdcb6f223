import { createCursors } from '../../http/cursors.ts'
import type { Cursors } from '../../http/cursors.ts'
import { defineFeature } from '../../http/feature.ts'
import type { Feature } from '../../http/feature.ts'
import type { Port } from '../../kernel/plugin.ts'
import { dbPort } from '../../primitives/db/index.ts'
import { jobsPort } from '../../primitives/jobs/index.ts'
import { createWebhooksIn } from './create-webhooks-in.ts'
import type { RunningWebhooksIn } from './create-webhooks-in.ts'
import { webhooksInErrors } from './errors.ts'
import { webhooksInOptions } from './options.ts'
import type { WebhooksInOptions } from './options.ts'
import { webhooksInPermissions, webhooksInRoutes } from './routes.ts'
import type { WebhookSource } from './source.ts'
import { webhooksInPort } from './webhooks-in.ts'

export interface WebhooksInInput {
  readonly sources?: readonly WebhookSource[]
}

/** The plugin itself knows more of the service than its users do. */
type Running = RunningWebhooksIn & { readonly cursors: Cursors }

/** Webhooks that others send: verified, stored once, handled by jobs; with routes under `/api/v1/hooks` and `/api/v1/webhooks-in`. */
export function webhooksIn({ sources = [] }: WebhooksInInput = {}): Feature {
  return defineFeature<WebhooksInOptions, { readonly db: typeof dbPort; readonly jobs: typeof jobsPort }, Running>({
    name: 'webhooks-in',
    options: webhooksInOptions,
    needs: { db: dbPort, jobs: jobsPort },
    provides: webhooksInPort as Port<Running>,
    errors: webhooksInErrors,
    permissions: webhooksInPermissions,
    migrations: { module: 'webhooks-in', directory: new URL('./migrations/', import.meta.url) },
    setup: ({ secrets, ...parts }) =>
      Object.assign(createWebhooksIn({ ...parts, sources }), { cursors: createCursors(secrets) }),
    start: (service) => service.begin(),
    stop: (service) => service.end(),
    jobs: (service) => service.handlers(),
    routes: (service) => webhooksInRoutes({ service, cursors: service.cursors }),
  })
}
