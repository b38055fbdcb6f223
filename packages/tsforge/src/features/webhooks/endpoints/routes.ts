import { created, noContent } from '../../../http/answer.ts'
import type { Cursors } from '../../../http/cursors.ts'
import { definePage, pageOf, pageQuery, pageSchema, parsePage } from '../../../http/pagination.ts'
import { route } from '../../../http/route.ts'
import type { Route } from '../../../http/route.ts'
import { nullable, Timestamp, Type, Uuid } from '../../../http/schema.ts'
import type { Static } from '../../../http/schema.ts'
import type { Webhooks } from '../webhooks.ts'
import type { Endpoint, EndpointPatch, EndpointSecret } from './endpoint.ts'

const SignatureForm = Type.Union(
  [Type.Literal('standard'), Type.Literal('standard_ed25519'), Type.Literal('timestamped')],
  {
    description:
      '`standard`: Standard Webhooks with HMAC (v1). `standard_ed25519`: the same, asymmetric (v1a). `timestamped`: t=…,v1=… in Webhook-Signature.',
  },
)
const BodyFormat = Type.Union([Type.Literal('standard'), Type.Literal('cloudevents')], {
  description: '`standard`: {"type","timestamp","data"}. `cloudevents`: CloudEvents 1.0, structured.',
})
const Events = Type.Array(Type.String({ minLength: 1, maxLength: 128 }), {
  minItems: 1,
  maxItems: 100,
  description: 'Kinds of events, `order.*` for all that begin so, `*` for all.',
})
const Secret = Type.String({ minLength: 1, maxLength: 256, description: 'Default: one is made.' })
const values = {
  url: Type.String({ minLength: 1, maxLength: 2048, description: 'https, leading to public addresses.' }),
  description: Type.Optional(Type.String({ maxLength: 500 })),
  events: Events,
  format: Type.Optional(BodyFormat),
  headers: Type.Optional(
    Type.Record(Type.String({ maxLength: 128 }), Type.String({ maxLength: 2048 }), {
      maxProperties: 20,
      description: 'Sent with each attempt; their values are shown to nobody. Replaces all.',
    }),
  ),
  rate: Type.Optional(nullable(Type.Integer({ minimum: 1, maximum: 1000, description: 'Attempts per second.' }))),
  concurrency: Type.Optional(
    nullable(Type.Integer({ minimum: 1, maximum: 1000, description: 'Attempts at the same time.' })),
  ),
  ordered: Type.Optional(
    Type.Boolean({
      description: 'One after the other, in the order of the events: one that fails holds up the others.',
    }),
  ),
  enabled: Type.Optional(Type.Boolean()),
  metadata: Type.Optional(Type.Record(Type.String(), Type.Unknown(), { maxProperties: 100 })),
}

const EndpointData = Type.Object(
  {
    id: Uuid,
    url: Type.String(),
    description: Type.String(),
    events: Type.Array(Type.String()),
    signature: SignatureForm,
    format: BodyFormat,
    header_names: Type.Array(Type.String()),
    rate: nullable(Type.Integer()),
    concurrency: nullable(Type.Integer()),
    ordered: Type.Boolean(),
    enabled: Type.Boolean(),
    disabled_reason: nullable(Type.Union([Type.Literal('manual'), Type.Literal('gone'), Type.Literal('failing')])),
    disabled_at: nullable(Timestamp),
    metadata: Type.Record(Type.String(), Type.Unknown()),
    version: Type.Integer(),
    created_at: Timestamp,
    updated_at: Timestamp,
  },
  { $id: 'WebhookEndpoint' },
)
const SecretData = Type.Object(
  {
    secret: nullable(Type.String({ description: 'Shared; null where there is a pair of keys.' })),
    public_key: nullable(Type.String({ description: 'What receivers verify v1a with.' })),
    until: nullable(Timestamp),
  },
  { $id: 'WebhookSecret' },
)
const NewEndpointData = Type.Object(
  { ...EndpointData.properties, secret: SecretData },
  { $id: 'NewWebhookEndpoint', description: 'The secret is shown here, and by its own route.' },
)

const pages = definePage({ name: 'webhook-endpoints', sort: ['id'] })
const Params = Type.Object({ id: Uuid })
const address = ['url_invalid', 'scheme_refused', 'port_refused', 'address_refused', 'unresolvable', 'header_invalid']
const inputErrors = [
  ...address.map((code) => `egress.${code}`),
  'webhooks.event_type_unknown',
  'webhooks.header_reserved',
  'webhooks.metadata_too_large',
]

export function endpointsRoutes(service: Webhooks & { readonly cursors: Cursors }): readonly Route[] {
  const tags = ['webhooks']
  const one = { tags, params: Params } as const
  const url = '/api/v1/webhooks/endpoints'
  return [
    route({
      method: 'GET',
      url,
      id: 'listWebhookEndpoints',
      summary: 'Webhook endpoints, oldest first',
      tags,
      access: 'webhooks.read',
      query: Type.Object(pageQuery),
      data: pageSchema(EndpointData),
      handler: async ({ query }) => {
        const page = parsePage(query, pages, service.cursors)
        return pageOf(await service.list(page), page, endpointData)
      },
    }),
    route({
      method: 'POST',
      url,
      id: 'createWebhookEndpoint',
      summary: 'Have events sent to a URL',
      tags,
      access: 'webhooks.manage',
      body: Type.Object({ ...values, signature: Type.Optional(SignatureForm), secret: Type.Optional(Secret) }),
      status: 201,
      data: NewEndpointData,
      etag: 'version',
      errors: [...inputErrors, 'webhooks.secret_invalid', 'webhooks.too_many_endpoints'],
      handler: async ({ body }) => {
        const { endpoint, secret } = await service.create(body)
        return created({ ...endpointData(endpoint), secret: secretData(secret) }, { location: `${url}/${endpoint.id}` })
      },
    }),
    route({
      ...one,
      method: 'GET',
      url: `${url}/:id`,
      id: 'getWebhookEndpoint',
      summary: 'One webhook endpoint',
      access: 'webhooks.read',
      data: EndpointData,
      etag: 'version',
      errors: ['webhooks.endpoint_not_found'],
      handler: async ({ params }) => endpointData(await service.get(params.id)),
    }),
    route({
      ...one,
      method: 'PATCH',
      url: `${url}/:id`,
      id: 'updateWebhookEndpoint',
      summary: 'Change a webhook endpoint',
      description: 'Keys that are absent stay as they are. Enabling one forgets its failures.',
      access: 'webhooks.manage',
      body: Type.Object(
        { ...values, url: Type.Optional(values.url), events: Type.Optional(values.events) },
        { minProperties: 1 },
      ),
      precondition: 'optional',
      data: EndpointData,
      etag: 'version',
      errors: [...inputErrors, 'webhooks.endpoint_not_found'],
      handler: async ({ params, body, expected }) =>
        endpointData(await service.update(params.id, body as EndpointPatch, expected)),
    }),
    route({
      ...one,
      method: 'DELETE',
      url: `${url}/:id`,
      id: 'deleteWebhookEndpoint',
      summary: 'Delete a webhook endpoint, and end its deliveries',
      access: 'webhooks.manage',
      precondition: 'optional',
      data: null,
      errors: ['webhooks.endpoint_not_found'],
      handler: async ({ params, expected }) => {
        await service.remove(params.id, expected)
        return noContent()
      },
    }),
    route({
      ...one,
      method: 'GET',
      url: `${url}/:id/secret`,
      id: 'getWebhookSecrets',
      summary: 'The secrets that sign now, newest first',
      access: 'webhooks.secrets',
      etag: false,
      data: Type.Object({ items: Type.Array(SecretData) }),
      errors: ['webhooks.endpoint_not_found'],
      handler: async ({ params }) => ({ items: (await service.secrets(params.id)).map(secretData) }),
    }),
    route({
      ...one,
      method: 'POST',
      url: `${url}/:id/secret/rotate`,
      id: 'rotateWebhookSecret',
      summary: 'Sign with a new secret, and for a while with the earlier ones too',
      access: 'webhooks.secrets',
      body: Type.Object({
        secret: Type.Optional(Secret),
        overlap_seconds: Type.Optional(
          Type.Integer({
            minimum: 0,
            maximum: 30 * 86_400,
            description: 'How long the earlier ones go on. 0: not at all.',
          }),
        ),
      }),
      data: SecretData,
      errors: ['webhooks.endpoint_not_found', 'webhooks.secret_invalid', 'webhooks.too_many_secrets'],
      handler: async ({ params, body: { secret, overlap_seconds: overlap } }) =>
        secretData(
          await service.rotate(params.id, {
            ...(secret !== undefined && { secret }),
            ...(overlap !== undefined && { overlapMs: overlap * 1000 }),
          }),
        ),
    }),
  ]
}

function endpointData(endpoint: Endpoint): Static<typeof EndpointData> {
  const { id, url, description, events, signature, format, rate, concurrency, ordered, enabled, version } = endpoint
  return {
    id,
    url,
    description,
    events: [...events],
    signature,
    format,
    header_names: [...endpoint.headerNames],
    rate,
    concurrency,
    ordered,
    enabled,
    disabled_reason: endpoint.disabledReason,
    disabled_at: endpoint.disabledAt,
    metadata: { ...endpoint.metadata },
    version,
    created_at: endpoint.createdAt,
    updated_at: endpoint.updatedAt,
  }
}

function secretData({ secret, publicKey, until }: EndpointSecret): Static<typeof SecretData> {
  return { secret, public_key: publicKey, until }
}
