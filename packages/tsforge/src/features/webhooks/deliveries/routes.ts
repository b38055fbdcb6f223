import { created } from '../../../http/answer.ts'
import type { Cursors } from '../../../http/cursors.ts'
import { definePage, pageOf, pageQuery, pageSchema, parsePage } from '../../../http/pagination.ts'
import { route } from '../../../http/route.ts'
import type { Route } from '../../../http/route.ts'
import { nullable, Timestamp, Type, Uuid } from '../../../http/schema.ts'
import type { Static } from '../../../http/schema.ts'
import type { Webhooks } from '../webhooks.ts'
import type { Attempt, Delivery, Message } from './delivery.ts'

const State = Type.Union([
  Type.Literal('pending'),
  Type.Literal('succeeded'),
  Type.Literal('failed'),
  Type.Literal('cancelled'),
])
const EndedState = Type.Union([Type.Literal('succeeded'), Type.Literal('failed'), Type.Literal('cancelled')])
const EventTypeName = Type.String({ minLength: 1, maxLength: 128 })

const DeliveryData = Type.Object(
  {
    id: Uuid,
    endpoint_id: Uuid,
    message_id: Uuid,
    event_id: Type.String({ description: '`webhook-id`, the same in every attempt.' }),
    type: Type.String(),
    state: State,
    format: Type.Union([Type.Literal('standard'), Type.Literal('cloudevents')]),
    attempts: Type.Integer(),
    next_at: nullable(Timestamp),
    last_status: nullable(Type.Integer()),
    last_error: nullable(Type.String()),
    created_at: Timestamp,
    settled_at: nullable(Timestamp),
  },
  { $id: 'WebhookDelivery' },
)
const Headers = Type.Record(Type.String(), Type.String())
const AttemptData = Type.Object(
  {
    id: Uuid,
    delivery_id: Uuid,
    number: Type.Integer(),
    ok: Type.Boolean(),
    status: nullable(Type.Integer()),
    error: nullable(Type.String({ description: 'Code, where there was no answer.' })),
    url: Type.String({ description: 'Without the values of its query.' }),
    address: nullable(Type.String({ description: 'That answered.' })),
    duration_ms: Type.Integer(),
    request_headers: Headers,
    response_headers: nullable(Headers),
    response_body: nullable(Type.String({ description: 'The first 16 KiB; secrets are taken out.' })),
    response_clipped: Type.Boolean(),
    started_at: Timestamp,
  },
  { $id: 'WebhookAttempt' },
)
const MessageData = Type.Object(
  {
    id: Uuid,
    event_id: Type.String(),
    type: Type.String(),
    body: nullable(
      Type.String({ description: 'Exactly what is sent in the format `standard`; null where nobody wants it so.' }),
    ),
    cloud_event: nullable(Type.String({ description: 'The same in the format `cloudevents`.' })),
    created_at: Timestamp,
  },
  { $id: 'WebhookMessage' },
)
const StatsData = Type.Object(
  {
    deliveries: Type.Object({
      pending: Type.Integer(),
      succeeded: Type.Integer(),
      failed: Type.Integer(),
      cancelled: Type.Integer(),
    }),
    attempts: Type.Integer(),
    failures: Type.Integer(),
    p50_ms: nullable(Type.Integer()),
    p95_ms: nullable(Type.Integer()),
    failing_since: nullable(Timestamp),
    rests_until: nullable(Timestamp),
  },
  { $id: 'WebhookStats' },
)
const ReplayedData = Type.Object(
  { count: Type.Integer(), more: Type.Boolean(), sample: Type.Array(DeliveryData) },
  { $id: 'WebhookReplay' },
)

const page = (name: string): ReturnType<typeof definePage> =>
  definePage({ name: `webhook-${name}`, sort: ['id'], defaultSort: '-id' })
const deliveryPages = page('deliveries')
const attemptPages = page('attempts')
const messagePages = page('messages')
const Params = Type.Object({ id: Uuid })
const Moment = Type.String({ format: 'date-time' })

/** A leap second, which `Date` does not know, is the one before; and nothing was sent before 1970. */
function momentOf(text: string): Date {
  const at = Date.parse(text.toUpperCase().replace(' ', 'T').replace(':60', ':59'))
  return new Date(Math.min(Math.max(at, 0), Date.UTC(9999, 0)))
}

export function deliveriesRoutes(service: Webhooks & { readonly cursors: Cursors }): readonly Route[] {
  const shared = { tags: ['webhooks'], params: Params } as const
  const endpoint = '/api/v1/webhooks/endpoints/:id'
  const delivery = '/api/v1/webhooks/deliveries/:id'
  const filters = { ...pageQuery, state: Type.Optional(State), type: Type.Optional(EventTypeName) }
  return [
    route({
      ...shared,
      method: 'POST',
      url: `${endpoint}/test`,
      id: 'testWebhookEndpoint',
      summary: 'Send webhook.test to an endpoint',
      access: 'webhooks.manage',
      status: 201,
      data: DeliveryData,
      errors: ['webhooks.endpoint_not_found', 'webhooks.endpoint_disabled'],
      handler: async ({ params }) => {
        const made = await service.test(params.id)
        return created(deliveryData(made), { location: `/api/v1/webhooks/deliveries/${made.id}` })
      },
    }),
    route({
      ...shared,
      method: 'GET',
      url: `${endpoint}/deliveries`,
      id: 'listWebhookDeliveries',
      summary: 'Deliveries of an endpoint, newest first',
      access: 'webhooks.read',
      query: Type.Object(filters),
      data: pageSchema(DeliveryData),
      errors: ['webhooks.endpoint_not_found'],
      handler: async ({ params, query }) => {
        const wanted = parsePage(query, deliveryPages, service.cursors, { endpoint: params.id.toLowerCase() })
        const { state, type } = query
        const filter = {
          endpointId: params.id,
          ...(state !== undefined && { state }),
          ...(type !== undefined && { type }),
        }
        return pageOf(await service.deliveries(filter, wanted), wanted, deliveryData)
      },
    }),
    route({
      ...shared,
      method: 'GET',
      url: `${endpoint}/stats`,
      id: 'getWebhookStats',
      summary: 'How an endpoint fares',
      access: 'webhooks.read',
      query: Type.Object({ since: Type.Optional(Moment) }),
      data: StatsData,
      errors: ['webhooks.endpoint_not_found'],
      handler: async ({ params, query: { since } }) => {
        const stats = await service.stats(params.id, since === undefined ? undefined : momentOf(since).getTime())
        return {
          deliveries: { ...stats.deliveries },
          attempts: stats.attempts,
          failures: stats.failures,
          p50_ms: stats.p50Ms,
          p95_ms: stats.p95Ms,
          failing_since: stats.failingSince,
          rests_until: stats.restsUntil,
        }
      },
    }),
    route({
      ...shared,
      method: 'POST',
      url: `${endpoint}/recover`,
      id: 'recoverWebhookEndpoint',
      summary: 'Deliver again what has failed or was missed since a moment',
      access: 'webhooks.manage',
      body: Type.Object({ since: Moment }),
      data: ReplayedData,
      errors: ['webhooks.endpoint_not_found', 'webhooks.endpoint_disabled'],
      handler: async ({ params, body }) => {
        const { count, more, sample } = await service.replay(params.id, { since: momentOf(body.since) })
        return { count, more, sample: sample.map(deliveryData) }
      },
    }),
    route({
      ...shared,
      method: 'POST',
      url: `${endpoint}/replay`,
      id: 'replayWebhooks',
      summary: 'Deliver again what fits, or only count it',
      description: 'At most 10,000 at once, oldest first; `more` tells that there are others.',
      access: 'webhooks.manage',
      body: Type.Object({
        since: Moment,
        until: Type.Optional(Moment),
        types: Type.Optional(Type.Array(EventTypeName, { minItems: 1, maxItems: 100 })),
        states: Type.Optional(
          Type.Array(EndedState, { minItems: 1, maxItems: 3, description: 'Default failed and cancelled.' }),
        ),
        preview: Type.Optional(Type.Boolean()),
      }),
      data: ReplayedData,
      errors: ['webhooks.endpoint_not_found', 'webhooks.endpoint_disabled'],
      handler: async ({ params, body: { since, until, ...rest } }) => {
        const { count, more, sample } = await service.replay(params.id, {
          ...rest,
          since: momentOf(since),
          ...(until !== undefined && { until: momentOf(until) }),
        })
        return { count, more, sample: sample.map(deliveryData) }
      },
    }),
    route({
      ...shared,
      method: 'GET',
      url: delivery,
      id: 'getWebhookDelivery',
      summary: 'One delivery',
      access: 'webhooks.read',
      data: DeliveryData,
      errors: ['webhooks.delivery_not_found'],
      handler: async ({ params }) => deliveryData(await service.delivery(params.id)),
    }),
    route({
      ...shared,
      method: 'GET',
      url: `${delivery}/attempts`,
      id: 'listWebhookAttempts',
      summary: 'What was sent and answered, newest first',
      access: 'webhooks.read',
      query: Type.Object(pageQuery),
      data: pageSchema(AttemptData),
      errors: ['webhooks.delivery_not_found'],
      handler: async ({ params, query }) => {
        const wanted = parsePage(query, attemptPages, service.cursors, { delivery: params.id.toLowerCase() })
        return pageOf(await service.attempts(params.id, wanted), wanted, attemptData)
      },
    }),
    route({
      ...shared,
      method: 'POST',
      url: `${delivery}/resend`,
      id: 'resendWebhook',
      summary: 'Deliver once more, or now what waits',
      access: 'webhooks.manage',
      data: DeliveryData,
      errors: ['webhooks.delivery_not_found', 'webhooks.endpoint_disabled'],
      handler: async ({ params }) => deliveryData(await service.resend(params.id)),
    }),
    route({
      tags: shared.tags,
      method: 'GET',
      url: '/api/v1/webhooks/messages',
      id: 'listWebhookMessages',
      summary: 'Messages that an endpoint wanted, newest first',
      access: 'webhooks.read',
      query: Type.Object({ ...pageQuery, type: Type.Optional(EventTypeName) }),
      data: pageSchema(MessageData),
      handler: async ({ query }) => {
        const wanted = parsePage(query, messagePages, service.cursors)
        const filter = query.type === undefined ? {} : { type: query.type }
        return pageOf(await service.messages(filter, wanted), wanted, messageData)
      },
    }),
    route({
      ...shared,
      method: 'GET',
      url: '/api/v1/webhooks/messages/:id',
      id: 'getWebhookMessage',
      summary: 'One message, as it is sent',
      access: 'webhooks.read',
      data: MessageData,
      errors: ['webhooks.message_not_found'],
      handler: async ({ params }) => messageData(await service.message(params.id)),
    }),
    route({
      ...shared,
      method: 'GET',
      url: '/api/v1/webhooks/messages/:id/deliveries',
      id: 'listWebhookMessageDeliveries',
      summary: 'Where a message went',
      access: 'webhooks.read',
      query: Type.Object(pageQuery),
      data: pageSchema(DeliveryData),
      errors: ['webhooks.message_not_found'],
      handler: async ({ params, query }) => {
        const wanted = parsePage(query, deliveryPages, service.cursors, { message: params.id.toLowerCase() })
        return pageOf(await service.deliveries({ messageId: params.id }, wanted), wanted, deliveryData)
      },
    }),
  ]
}

function deliveryData(delivery: Delivery): Static<typeof DeliveryData> {
  const { id, type, state, format, attempts } = delivery
  return {
    id,
    endpoint_id: delivery.endpointId,
    message_id: delivery.messageId,
    event_id: delivery.eventId,
    type,
    state,
    format,
    attempts,
    next_at: delivery.nextAt,
    last_status: delivery.lastStatus,
    last_error: delivery.lastError,
    created_at: delivery.createdAt,
    settled_at: delivery.settledAt,
  }
}

function attemptData(attempt: Attempt): Static<typeof AttemptData> {
  const { id, number, ok, status, error, url, address } = attempt
  return {
    id,
    delivery_id: attempt.deliveryId,
    number,
    ok,
    status,
    error,
    url,
    address,
    duration_ms: attempt.durationMs,
    request_headers: { ...attempt.requestHeaders },
    response_headers: attempt.responseHeaders === null ? null : { ...attempt.responseHeaders },
    response_body: attempt.responseBody,
    response_clipped: attempt.responseClipped,
    started_at: attempt.startedAt,
  }
}

function messageData({ id, eventId, type, body, cloudEvent, createdAt }: Message): Static<typeof MessageData> {
  return { id, event_id: eventId, type, body, cloud_event: cloudEvent, created_at: createdAt }
}
