import { defineFeature } from '../../http/feature.ts'
import type { Feature } from '../../http/feature.ts'
import type { Port } from '../../kernel/plugin.ts'
import { dbPort } from '../../primitives/db/index.ts'
import { egressPort } from '../../primitives/egress/index.ts'
import { jobsPort } from '../../primitives/jobs/index.ts'
import { createWebhooksIn } from './create-webhooks-in.ts'
import type { RunningWebhooksIn } from './create-webhooks-in.ts'
import { webhooksInErrors } from './errors.ts'
import { webhooksInOptions } from './options.ts'
import type { WebhooksInOptions } from './options.ts'
import { hookRoutes } from './routes.ts'
import type { WebhookSource } from './source.ts'
import { webhooksInPort } from './webhooks-in.ts'

export interface WebhooksInInput {
  readonly sources?: readonly WebhookSource[]
}

/** Webhooks that others send to `/api/v1/hooks`: verified, stored once, handled by jobs. */
export function webhooksIn({ sources = [] }: WebhooksInInput = {}): Feature {
  return defineFeature<
    WebhooksInOptions,
    { readonly db: typeof dbPort; readonly egress: typeof egressPort; readonly jobs: typeof jobsPort },
    RunningWebhooksIn
  >({
    name: 'webhooks-in',
    options: webhooksInOptions,
    needs: { db: dbPort, egress: egressPort, jobs: jobsPort },
    // The plugin itself knows more of the service than its users do.
    provides: webhooksInPort as Port<RunningWebhooksIn>,
    errors: webhooksInErrors,
    migrations: { module: 'webhooks-in', directory: new URL('./migrations/', import.meta.url) },
    setup: (parts) => createWebhooksIn({ ...parts, sources }),
    start: (service) => service.begin(),
    stop: (service) => service.end(),
    jobs: (service) => service.handlers(),
    routes: hookRoutes,
  })
}
