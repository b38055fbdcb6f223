import { live } from '../../http/live.ts'
import { created } from '../../http/answer.ts'
import { route } from '../../http/route.ts'
import type { Route } from '../../http/route.ts'
import { Timestamp, Type } from '../../http/schema.ts'
import type { Realtime } from './realtime.ts'
import type { Topic } from './topic.ts'

export const streamUrl = '/api/v1/stream'

const TicketData = Type.Object(
  {
    ticket: Type.String({ description: 'For `?ticket=` of one stream.' }),
    expires_at: Timestamp,
  },
  { $id: 'StreamTicket' },
)

/** The stream and its tickets; none when the app has no topics. */
export function realtimeRoutes(realtime: Realtime): readonly Route[] {
  const { topics } = realtime
  if (topics.length === 0) return []
  const tags = ['realtime']
  return [
    route({
      method: 'GET',
      url: streamUrl,
      id: 'openStream',
      summary: 'Events as they happen (server-sent events)',
      description: describe(topics),
      tags,
      access: 'authenticated',
      query: Type.Object({
        topics: Type.String({
          minLength: 1,
          maxLength: 1300,
          pattern: '^[^,]+(?:,[^,]+){0,19}$',
          description: 'Names of topics, with commas between.',
        }),
        last_event_id: Type.Optional(
          Type.String({ maxLength: 64, description: 'Stands in for the header Last-Event-ID, which wins.' }),
        ),
        ticket: Type.Optional(
          Type.String({ maxLength: 64, description: 'Stands in for Authorization; of POST /api/v1/stream/tickets.' }),
        ),
      }),
      data: Type.String({ description: 'Frames of text/event-stream.' }),
      etag: false,
      cacheControl: 'no-cache, no-transform',
      plain: { contentType: 'text/event-stream' },
      errors: [
        'tenant.required',
        'realtime.position_malformed',
        'realtime.topic_unknown',
        'realtime.topic_denied',
        'realtime.ticket_invalid',
        'realtime.too_many_streams',
        'realtime.full',
        'realtime.draining',
      ],
      handler: async (call) => {
        const { query, standing } = call
        const stream = await realtime.open({
          standing,
          topics: query.topics.split(','),
          lastEventId: call.header('last-event-id') ?? query.last_event_id,
        })
        return live(stream, { headers: { 'x-accel-buffering': 'no' } })
      },
    }),
    route({
      method: 'POST',
      url: `${streamUrl}/tickets`,
      id: 'createStreamTicket',
      summary: 'A ticket for one stream, for browsers that cannot send headers with it',
      tags,
      access: 'authenticated',
      idempotency: 'refused',
      status: 201,
      data: TicketData,
      handler: async ({ actor, tenantId }) => {
        const { ticket, expiresAt } = await realtime.issueTicket(actor, tenantId)
        return created({ ticket, expires_at: expiresAt.toISOString() })
      },
    }),
  ]
}

function describe(topics: readonly Topic[]): string {
  const list = topics.map(({ name, types, audience, permission }) => {
    const needs = permission === undefined ? '' : `, needs \`${permission}\``
    return `- \`${name}\`: ${types.map((type) => `\`${type}\``).join(', ')}; for ${audience === 'tenant' ? 'the tenant' : 'the users it names'}${needs}`
  })
  return `Topics:

${list.join('\n')}

Each frame has \`id\` (its position), \`event\` (the kind) and \`data\` (JSON). Whoever comes back with the id in Last-Event-ID
goes on behind it, without gaps and repeats. The event \`reset\` says that the position is gone: the stream goes on from now,
and what is on display has to be fetched anew. The stream ends with the credential, the session or the membership.`
}
