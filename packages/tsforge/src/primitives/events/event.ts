import type { PayloadInput, PayloadSchema } from '../jobs/index.ts'

/**
 * CloudEvents 1.0 in its JSON form, with the extensions `traceparent`, `partitionkey` and `sequence` of its documented
 * set and a few of ours. https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md
 */
export interface CloudEvent<Data = unknown> {
  readonly specversion: '1.0'
  /** UUIDv7, the same wherever the event goes. */
  readonly id: string
  /** Who emitted it: `FORGE_EVENTS_SOURCE`, default `/<app name>`. */
  readonly source: string
  /** `noun.verb`, e.g. `order.placed`. */
  readonly type: string
  /** What it is about, e.g. the id of the order. */
  readonly subject?: string
  /** RFC 3339, UTC: when it was emitted, by the clock of the store. */
  readonly time: string
  readonly datacontenttype: 'application/json'
  readonly data: Data
  /** Of the schema of `data`, from 1. */
  readonly dataversion: number
  readonly tenantid?: string
  /** Kind and id of who did it, e.g. `user:0197…`, `system`. */
  readonly actor?: string
  /** W3C trace context of the unit of work that emitted it. */
  readonly traceparent?: string
  /** Events of one key are handled in the order of their emission. */
  readonly partitionkey?: string
  /** Its position in the log: text order is the order of the log. Only on events that came out of it. */
  readonly sequence?: string
}

/** A place in the log, e.g. `000000000012-0000000000000345`: text order is the order of the log. Opaque to users. */
export type Position = string

export type LoggedEvent<Data = unknown> = CloudEvent<Data> & { readonly sequence: Position }

/** What a product writes. Data is JSON. */
export interface EventSpec<Data> {
  /** `noun.verb`, stable for ever: lower-case letters, digits and `._-`, at most 128. */
  readonly type: string
  /** Raised when `schema` changes in a way that old readers do not understand. Default 1. */
  readonly version?: number
  /** Checked when an event is emitted. Absent: all JSON passes. */
  readonly schema?: PayloadSchema
  /** What the event is about. */
  readonly subject?: (data: Data) => string | undefined
  /** Events of one key keep their order. Default: the subject; without either, events have no order among themselves. */
  readonly key?: (data: Data) => string | undefined
  /** One sentence for documentation, e.g. the list of events that webhooks can be sent for. */
  readonly description?: string
}

/** A kind of event: data alone, so that whoever emits loads nothing of whoever listens. */
export interface EventType<Data = unknown> extends EventSpec<Data> {
  readonly version: number
  /** Checks and encodes. Throws (or rejects with) `events.data_invalid`. */
  readonly check: (data: Data) => unknown
}

export type DataOf<S> = S extends PayloadSchema ? PayloadInput<S> : unknown
