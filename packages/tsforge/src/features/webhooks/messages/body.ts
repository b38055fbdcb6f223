import type { CloudEvent, EventType } from '../../../primitives/events/index.ts'
import type { BodyFormat } from '../endpoints/endpoint.ts'
import { webhooksErrors } from '../errors.ts'

/** What receivers get, made once and sent as it is from then on. */
export interface Outgoing {
  readonly tenantId: string
  readonly eventId: string
  readonly type: string
  body(format: BodyFormat): string
}

/** An event of the log. */
export function ofEvent(event: CloudEvent & { readonly tenantid: string }, limit: number): Outgoing {
  const { id, type, time, data, tenantid: tenantId } = event
  return {
    tenantId,
    eventId: id,
    type,
    body: (format) =>
      within(limit, format === 'standard' ? standardBody(type, time, data) : JSON.stringify(outside(event))),
  }
}

/** What a product sends by itself. Throws `webhooks.message_invalid`. */
export async function ofData(
  kind: EventType<never>,
  { tenantId, id, data }: { readonly tenantId: string; readonly id: string; readonly data: unknown },
  { source, time, limit }: { readonly source: string; readonly time: string; readonly limit: number },
): Promise<Outgoing> {
  if (!/^[!-\-/-~]{1,256}$/.test(id)) throw invalid('its id is not valid')
  const { type, version } = kind
  let checked: unknown
  try {
    checked = await kind.check(data as never)
  } catch (error) {
    const { meta } = error as { meta?: { reason?: unknown } }
    throw webhooksErrors.error('webhooks.message_invalid', {
      meta: { reason: typeof meta?.reason === 'string' ? meta.reason : 'its data is not what its type takes' },
      cause: error,
    })
  }
  const event: CloudEvent = {
    specversion: '1.0',
    id,
    source,
    type,
    time,
    datacontenttype: 'application/json',
    data: checked,
    dataversion: version,
    tenantid: tenantId,
  }
  const made = ofEvent({ ...event, tenantid: tenantId }, limit)
  // Also when nobody wants it: whether it can be sent does not depend on who listens.
  made.body('standard')
  return made
}

/** https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#payload-structure */
function standardBody(type: string, timestamp: string, data: unknown): string {
  return JSON.stringify({ type, timestamp, data })
}

/** Without what is of this app alone: who did it, and where it lies in the log. */
function outside({ actor: _actor, traceparent: _trace, sequence: _sequence, ...event }: CloudEvent): object {
  return event
}

function within(limit: number, text: string): string {
  const bytes = Buffer.byteLength(text)
  if (bytes > limit) throw invalid(`it has ${bytes} bytes, and at most ${limit} are sent`)
  return text
}

function invalid(reason: string): Error {
  return webhooksErrors.error('webhooks.message_invalid', { meta: { reason } })
}
