import type { Cursors } from '../../http/cursors.ts'
import type { PermissionSpec } from '../../http/feature.ts'
import { route } from '../../http/route.ts'
import type { Route } from '../../http/route.ts'
import { nullable, Type } from '../../http/schema.ts'
import { deliveriesRoutes } from './deliveries/routes.ts'
import { endpointsRoutes } from './endpoints/routes.ts'
import type { Webhooks } from './webhooks.ts'

export type WebhooksPermission = 'webhooks.read' | 'webhooks.manage' | 'webhooks.secrets'

export const webhooksPermissions: Readonly<Record<WebhooksPermission, PermissionSpec>> = {
  'webhooks.read': {
    description: {
      en: 'See webhook endpoints, and what was sent to them',
      id: 'Melihat endpoint webhook dan apa yang dikirim',
    },
  },
  'webhooks.manage': {
    description: {
      en: 'Create, change, test and delete webhook endpoints, and send again',
      id: 'Membuat, mengubah, menguji, dan menghapus endpoint webhook, serta mengirim ulang',
    },
  },
  'webhooks.secrets': {
    description: { en: 'See and rotate the secrets of webhooks', id: 'Melihat dan merotasi rahasia webhook' },
  },
}

const EventTypeData = Type.Object(
  {
    type: Type.String(),
    version: Type.Integer(),
    description: nullable(Type.String()),
    schema: Type.Unknown({ description: 'JSON Schema of `data`; null where there is none to show.' }),
  },
  { $id: 'WebhookEventType' },
)

export function webhooksRoutes(service: Webhooks & { readonly cursors: Cursors }): readonly Route[] {
  const types = service.eventTypes.map(({ type, version, description, schema }) => ({
    type,
    version,
    description: description ?? null,
    // Of other libraries there may be no JSON Schema.
    schema: schema === undefined || '~standard' in schema ? null : (JSON.parse(JSON.stringify(schema)) as unknown),
  }))
  return [
    route({
      method: 'GET',
      url: '/api/v1/webhooks/event-types',
      id: 'listWebhookEventTypes',
      summary: 'Kinds of events that endpoints may ask for',
      tags: ['webhooks'],
      access: 'webhooks.read',
      data: Type.Object({ items: Type.Array(EventTypeData) }),
      handler: () => ({ items: types }),
    }),
    ...endpointsRoutes(service),
    ...deliveriesRoutes(service),
  ]
}
