import type { PageRequest, Slice } from '../../kernel/page.ts'
import { port } from '../../kernel/plugin.ts'
import type { Port } from '../../kernel/plugin.ts'
import type { Expected } from '../../kernel/precondition.ts'
import type { EventType } from '../../primitives/events/index.ts'
import type { Queryable } from '../../primitives/db/index.ts'
import type {
  Attempt,
  Delivery,
  DeliveryFilter,
  EndpointStats,
  Message,
  Replay,
  Replayed,
} from './deliveries/delivery.ts'
import type { EndpointsSurvey } from './endpoints/survey.ts'
import type { Endpoint, EndpointPatch, EndpointSecret, NewEndpoint } from './endpoints/endpoint.ts'

export interface Rotation {
  /** Default: one is made. */
  readonly secret?: string
  /** How long the earlier secrets go on signing. 0: not at all. Default `FORGE_WEBHOOKS_OVERLAP`. */
  readonly overlapMs?: number
}

export interface Outgoing {
  readonly tenantId: string
  /** One of the declared kinds. */
  readonly type: string
  /** JSON; checked by the schema of its kind. */
  readonly data: unknown
  /** What receivers know it by, and what makes it once: visible ASCII without dots. Default: a new one. */
  readonly id?: string
}

export interface Sent {
  /** `webhook-id` of its deliveries. */
  readonly id: string
  /** New deliveries; 0 when nobody wants it, or when it has been sent before. */
  readonly deliveries: number
}

/**
 * Outgoing webhooks. All but `send` and `survey` work in the tenant of the running unit of work (`tenant.required` without one); what
 * belongs to others does not exist. Writes take the caller's transaction.
 */
export interface Webhooks {
  /**
   * What is sent, in the given transaction: the deliveries exist when it commits and never when it does not. Events of the
   * log that were declared to `webhooks()` are sent by themselves. Fails with `webhooks.event_type_unknown`, `webhooks.message_invalid`.
   */
  send(tx: Queryable, message: Outgoing): Promise<Sent>

  /** Kinds that endpoints may ask for. */
  readonly eventTypes: readonly EventType<never>[]

  /** With its secret, or public key. Fails with `egress.*`, `webhooks.*`. */
  create(input: NewEndpoint, tx?: Queryable): Promise<{ readonly endpoint: Endpoint; readonly secret: EndpointSecret }>
  get(id: string): Promise<Endpoint>
  list(page?: PageRequest): Promise<Slice<Endpoint>>
  /** Absent keys stay as they are. */
  update(id: string, patch: EndpointPatch, expected?: Expected, tx?: Queryable): Promise<Endpoint>
  /** Ends its deliveries. */
  remove(id: string, expected?: Expected, tx?: Queryable): Promise<void>
  /** Newest first; all of them sign. */
  secrets(id: string): Promise<readonly EndpointSecret[]>
  /** The new one. */
  rotate(id: string, rotation?: Rotation, tx?: Queryable): Promise<EndpointSecret>

  /** Sends `webhook.test` to this endpoint, whatever it asks for. Fails with `webhooks.endpoint_disabled`. */
  test(id: string): Promise<Delivery>
  deliveries(filter: DeliveryFilter, page?: PageRequest): Promise<Slice<Delivery>>
  delivery(id: string): Promise<Delivery>
  attempts(deliveryId: string, page?: PageRequest): Promise<Slice<Attempt>>
  messages(filter: { readonly type?: string }, page?: PageRequest): Promise<Slice<Message>>
  message(id: string): Promise<Message>
  /** Delivers once more, from the first attempt on. One that waits is tried now. */
  resend(deliveryId: string): Promise<Delivery>
  /** Delivers again what fits, oldest first; `preview` only counts. */
  replay(endpointId: string, replay: Replay): Promise<Replayed>
  stats(endpointId: string, sinceMs?: number): Promise<EndpointStats>

  /** How the endpoints of all tenants fare; for operators. */
  survey(): Promise<EndpointsSurvey>
}

export const webhooksPort: Port<Webhooks> = port<Webhooks>('webhooks', () =>
  import('./plugin.ts').then((module) => module.webhooks()),
)
