import type { IncomingMessage } from 'node:http'
import { noContent, reply } from '../../http/answer.ts'
import { createCursors } from '../../http/cursors.ts'
import type { Cursors } from '../../http/cursors.ts'
import { httpErrors } from '../../http/errors.ts'
import { defineFeature } from '../../http/feature.ts'
import type { Feature, PermissionSpec } from '../../http/feature.ts'
import { definePage, pageOf, pageQuery, pageSchema, parsePage } from '../../http/pagination.ts'
import { route } from '../../http/route.ts'
import type { Answer, Call, Route } from '../../http/route.ts'
import { nullable, Timestamp, Type, Uuid } from '../../http/schema.ts'
import type { Static } from '../../http/schema.ts'
import type { RunningWebhooksIn } from './create-webhooks-in.ts'
import { webhooksInErrors } from './errors.ts'
import { webhooksInPort } from './webhooks-in.ts'
import type { DeliveryRecord, WebhooksIn } from './webhooks-in.ts'

const webhooksInPermissions: Readonly<Record<'webhooks_in.manage', PermissionSpec>> = {
  'webhooks_in.manage': {
    description: { en: 'See and replay incoming webhooks', id: 'Melihat dan memutar ulang webhook masuk' },
  },
}

interface DeliveriesRoom {
  readonly hooks: WebhooksIn
  readonly cursors: Cursors
}

/**
 * The deliveries of a tenant over HTTP, for those who own it: an app lists it beside `webhooksIn()`. Those of the app itself
 * are the operator's, by `webhooksInPort`.
 */
export function webhooksInApi(): Feature {
  return defineFeature({
    name: 'webhooks-in-api',
    needs: { hooks: webhooksInPort },
    errors: webhooksInErrors,
    permissions: webhooksInPermissions,
    setup: ({ hooks, secrets }): DeliveriesRoom => ({ hooks, cursors: createCursors(secrets) }),
    routes: deliveryRoutes,
  })
}

const State = Type.Union([Type.Literal('pending'), Type.Literal('handled'), Type.Literal('dead')])
const properties = {
  id: Uuid,
  source: Type.String(),
  delivery_id: Type.String({ description: "The sender's id, or a digest of what was signed where it gives none." }),
  event: nullable(Type.String()),
  state: State,
  attempts: Type.Integer({ description: 'Runs of the handler that failed.' }),
  error: nullable(Type.String({ description: 'Name of the latest failure.' })),
  signed_at: nullable(Timestamp),
  received_at: Timestamp,
  settled_at: nullable(Timestamp),
  bytes: Type.Integer(),
  job_id: nullable(Type.Integer()),
}
const DeliveryData = Type.Object(properties, { $id: 'WebhookInDelivery' })
const DeliveryDetailData = Type.Object(
  {
    ...properties,
    headers: Type.Record(Type.String(), Type.String(), { description: 'Without credentials and signatures.' }),
    content_type: nullable(Type.String()),
    body: Type.String(),
    body_encoding: Type.Union([Type.Literal('utf8'), Type.Literal('base64')], {
      description: 'base64 when the bytes are no UTF-8.',
    }),
  },
  { $id: 'WebhookInDeliveryDetail' },
)
const TakenData = Type.Object(
  {
    status: Type.Union([
      Type.Literal('accepted'),
      Type.Literal('repeated'),
      Type.Literal('ignored'),
      Type.Literal('challenge'),
      Type.Literal('confirmed'),
    ]),
    challenge: Type.Optional(Type.String()),
  },
  { $id: 'WebhookInTaken' },
)
const DeliveryParams = Type.Object({ id: Uuid })
const SourceName = Type.String({ minLength: 1, maxLength: 255 })
const tags = ['webhooks in']
const paging = definePage({ name: 'webhooks-in', sort: ['id'], defaultSort: '-id' })

/** Where senders send to. */
export function hookRoutes(service: RunningWebhooksIn): readonly Route[] {
  const hook = {
    method: 'POST',
    tags,
    access: 'public',
    rate: 'hooks',
    status: 202,
    data: TakenData,
    // Senders know nothing of an envelope, and Slack looks for `challenge` at the top.
    plain: true,
    bodyStream: true,
    // Some send a key with whatever they send; what they repeat is known by its own id.
    idempotency: 'ignored',
    description:
      'The body, of any type, is verified by its signature and stored; its handler runs afterwards. A repeated delivery is acknowledged and not handled again.',
    errors: [
      'http.body_too_large',
      'webhooks_in.source_unknown',
      'webhooks_in.signature_missing',
      'webhooks_in.timestamp_invalid',
      'webhooks_in.signature_invalid',
      'webhooks_in.raw_delivery',
      'webhooks_in.unavailable',
    ],
  } as const
  const sources = [...service.sources.values()]
  const ofApp = route({
    ...hook,
    url: '/api/v1/hooks/:source',
    id: 'receiveWebhook',
    summary: 'Take a webhook of a source',
    params: Type.Object({ source: SourceName }),
    handler: (call) => take(service, call, call.params.source, undefined),
  })
  const ofTenants = route({
    ...hook,
    url: '/api/v1/hooks/:source/:tenant',
    id: 'receiveTenantWebhook',
    summary: 'Take a webhook of a source for a tenant',
    params: Type.Object({ source: SourceName, tenant: SourceName }),
    handler: (call) => take(service, call, call.params.source, call.params.tenant),
  })
  return [
    // An address that nothing is sent to is no address.
    ...(sources.some(({ perTenant }) => perTenant !== true) ? [ofApp] : []),
    ...(sources.some(({ perTenant }) => perTenant === true) ? [ofTenants] : []),
  ]
}

function deliveryRoutes({ hooks, cursors }: DeliveriesRoom): readonly Route[] {
  return [
    route({
      method: 'GET',
      url: '/api/v1/webhooks-in/deliveries',
      id: 'listWebhookInDeliveries',
      summary: 'Incoming webhooks of the tenant, newest first',
      tags,
      access: 'webhooks_in.manage',
      query: Type.Object({
        limit: pageQuery.limit,
        cursor: pageQuery.cursor,
        state: Type.Optional(State),
        source: Type.Optional(SourceName),
        event: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
      }),
      data: pageSchema(DeliveryData),
      handler: async ({ tenantId, query }) => {
        const page = parsePage(query, paging, cursors)
        const { limit: _, cursor: __, ...filter } = query
        const after = page.position?.kind === 'after' ? { after: page.position.keys } : {}
        const slice = await hooks.list({ ...filter, tenantId: tenantId! }, { limit: page.limit, ...after })
        return pageOf(slice, page, deliveryData)
      },
    }),
    route({
      method: 'GET',
      url: '/api/v1/webhooks-in/deliveries/:id',
      id: 'getWebhookInDelivery',
      summary: 'One incoming webhook with its content',
      tags,
      access: 'webhooks_in.manage',
      params: DeliveryParams,
      data: DeliveryDetailData,
      errors: ['webhooks_in.delivery_unknown', 'webhooks_in.delivery_gone'],
      handler: async ({ tenantId, params }) => {
        const found = await hooks.get(params.id, tenantId!)
        const { headers, contentType, body } = found
        const text = body.toString('utf8')
        const exact = Buffer.from(text).equals(body)
        return {
          ...deliveryData(found),
          headers: { ...headers },
          content_type: contentType,
          body: exact ? text : body.toString('base64'),
          body_encoding: exact ? 'utf8' : 'base64',
        } as const
      },
    }),
    route({
      method: 'POST',
      url: '/api/v1/webhooks-in/deliveries/:id/replay',
      id: 'replayWebhookInDelivery',
      summary: 'Handle an incoming webhook again',
      description: 'For those that are handled or dead.',
      tags,
      access: 'webhooks_in.manage',
      params: DeliveryParams,
      data: null,
      errors: [
        'webhooks_in.delivery_unknown',
        'webhooks_in.delivery_gone',
        'webhooks_in.delivery_open',
        'webhooks_in.source_unknown',
      ],
      handler: async ({ tenantId, params }) => {
        await hooks.replay(params.id, tenantId!)
        return noContent()
      },
    }),
  ]
}

async function take(
  service: RunningWebhooksIn,
  call: Call,
  source: string,
  tenant: string | undefined,
): Promise<Answer<Static<typeof TakenData>>> {
  const req = call.raw.request.raw
  const body = await readBytes(req, service.limitOf(source, tenant))
  const received = await service.receive({ source, tenant, headers: req.headers, body, ip: call.ip })
  if (received.status === 'challenge')
    return reply({ status: 'challenge', challenge: received.challenge }, { status: 200 })
  return reply({ status: received.status }, received.status === 'confirmed' ? { status: 200 } : {})
}

/** The bytes as they come: they are what was signed. */
async function readBytes(req: IncomingMessage, limit: number): Promise<Buffer> {
  const tooLarge = (): Error => httpErrors.error('http.body_too_large', { meta: { limit } })
  if (Number(req.headers['content-length'] ?? 0) > limit) throw tooLarge()
  const chunks: Buffer[] = []
  let size = 0
  // The answer still needs the connection.
  for await (const chunk of req.iterator({ destroyOnReturn: false })) {
    size += (chunk as Buffer).length
    if (size > limit) throw tooLarge()
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks, size)
}

function deliveryData(record: DeliveryRecord): Static<typeof DeliveryData> {
  return {
    id: record.id,
    source: record.source,
    delivery_id: record.deliveryId,
    event: record.event,
    state: record.state,
    attempts: record.attempts,
    error: record.error,
    signed_at: record.signedAt,
    received_at: record.receivedAt,
    settled_at: record.settledAt,
    bytes: record.bytes,
    job_id: record.jobId,
  }
}
