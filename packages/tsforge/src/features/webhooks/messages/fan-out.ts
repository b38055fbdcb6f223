import { uuidv7 } from '../../../kernel/ids.ts'
import type { Log } from '../../../kernel/log.ts'
import type { Queryable } from '../../../primitives/db/index.ts'
import type { Jobs } from '../../../primitives/jobs/index.ts'
import { deliverWebhook } from '../deliveries/job.ts'
import type { BodyFormat } from '../endpoints/endpoint.ts'
import { wants } from '../endpoints/filters.ts'
import { selectSubscribers } from '../endpoints/repository.ts'
import type { Subscriber } from '../endpoints/repository.ts'
import { webhooksErrors } from '../errors.ts'
import type { WebhooksMeters } from '../meters.ts'
import type { Outgoing } from './body.ts'
import { insertDeliveries, insertMessages } from './repository.ts'

export interface FanOutParts {
  readonly jobs: Jobs
  readonly log: Log
  readonly meters: WebhooksMeters
  readonly now: () => Date
}

/**
 * Writes messages, and a delivery and its job for each endpoint that wants one; all in `tx`. What an endpoint has had, or
 * has under way, it does not get again. Gives the number of new deliveries, by event.
 */
export async function fanOut(
  tx: Queryable,
  messages: readonly Outgoing[],
  parts: FanOutParts,
): Promise<ReadonlyMap<string, number>> {
  if (messages.length === 0) return new Map()
  const subscribers = await selectSubscribers(tx, [...new Set(messages.map(({ tenantId }) => tenantId))])
  const byTenant = Map.groupBy(subscribers, ({ tenantId }) => tenantId)
  const wanted = messages.flatMap((message) => {
    const to = (byTenant.get(message.tenantId) ?? []).filter(({ events }) => wants(events, message.type))
    return to.length === 0 ? [] : [{ message, to }]
  })
  return write(tx, wanted, parts)
}

export interface Addressed {
  readonly message: Outgoing
  readonly to: readonly Pick<Subscriber, 'id' | 'format' | 'enabled'>[]
}

export async function write(
  tx: Queryable,
  wanted: readonly Addressed[],
  { jobs, log, meters, now }: FanOutParts,
): Promise<ReadonlyMap<string, number>> {
  const rows = wanted.flatMap(({ message, to }) => {
    const bodies = bodiesOf(message, to)
    // One that is too large must not hold up the log behind it.
    if (bodies === undefined)
      log.error({ type: message.type, event: message.eventId }, 'an event is too large to be sent as a webhook')
    return bodies === undefined ? [] : [{ id: uuidv7(), message, to, ...bodies }]
  })
  if (rows.length === 0) return new Map()
  const at = now()
  const ids = await insertMessages(
    tx,
    rows.map(({ id, message, standard, cloudevents }) => ({
      id,
      tenantId: message.tenantId,
      eventId: message.eventId,
      type: message.type,
      body: standard,
      cloudEvent: cloudevents,
    })),
    at,
  )
  const added = await insertDeliveries(
    tx,
    rows.flatMap(({ message, to }) =>
      to.map(({ id: endpointId, format, enabled }) => ({
        id: uuidv7(),
        tenantId: message.tenantId,
        endpointId,
        messageId: ids.get(`${message.tenantId} ${message.eventId}`)!,
        format,
        enabled,
      })),
    ),
    at,
  )
  const begun = added.filter(({ enabled }) => enabled)
  await jobs.enqueueMany(
    deliverWebhook,
    begun.map(({ id, tenantId, endpointId }) => ({ payload: { delivery: id }, tenantId, key: endpointId })),
    {},
    tx,
  )
  meters.messages.add(rows.length)
  const eventOf = new Map([...ids].map(([key, id]) => [id, key.slice(key.indexOf(' ') + 1)]))
  const counts = new Map<string, number>()
  for (const { messageId } of begun) {
    const eventId = eventOf.get(messageId)!
    counts.set(eventId, (counts.get(eventId) ?? 0) + 1)
  }
  return counts
}

function bodiesOf({ body }: Outgoing, to: Addressed['to']): Readonly<Record<BodyFormat, string | null>> | undefined {
  const formats = new Set(to.map(({ format }) => format))
  try {
    return {
      standard: formats.has('standard') ? body('standard') : null,
      cloudevents: formats.has('cloudevents') ? body('cloudevents') : null,
    }
  } catch (error) {
    if (!webhooksErrors.is(error, 'webhooks.message_invalid')) throw error
    return undefined
  }
}
