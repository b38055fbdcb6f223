import type { LoggedEvent } from '../events/index.ts'
import type { SinkMessage } from './driver.ts'

/**
 * How an event becomes a message. `structured`: the whole event as JSON, so that it survives any hop. `binary`: its data is
 * the body, its attributes are headers. https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md#message
 */
export type SinkMode = 'structured' | 'binary'

/** Where an event goes: subject (NATS), routing key (RabbitMQ), topic (Kafka), stream (Redis). */
export type SinkAddress = string | ((event: LoggedEvent) => string)

export interface Encoding {
  readonly mode: SinkMode
  readonly to: SinkAddress
}

const structured = 'application/cloudevents+json; charset=utf-8'

/** Throws what `to` throws, and where data is no JSON. */
export function encode(event: LoggedEvent, { mode, to }: Encoding): SinkMessage {
  const address = typeof to === 'string' ? to : to(event)
  if (typeof address !== 'string' || address === '') throw new TypeError(`event ${event.id} has no address`)
  const common = { id: event.id, type: event.type, key: event.partitionkey, to: address }
  if (mode === 'structured')
    return { ...common, contentType: structured, attributes: {}, body: Buffer.from(JSON.stringify(event)) }
  const { data, datacontenttype, ...rest } = event
  const attributes: Record<string, string> = {}
  for (const [name, value] of Object.entries(rest)) if (value !== undefined) attributes[name] = String(value)
  return { ...common, contentType: datacontenttype, attributes, body: Buffer.from(JSON.stringify(data) ?? 'null') }
}
