import { channel } from 'node:diagnostics_channel'
import type { Channel } from 'node:diagnostics_channel'
import { Type } from 'typebox'
import type { TUnsafe } from 'typebox'
import { defineEvent } from '../../primitives/events/index.ts'
import type { EventType } from '../../primitives/events/index.ts'
import type { DisabledReason } from './endpoints/endpoint.ts'

interface EndpointFact {
  readonly endpointId: string
  readonly tenantId: string
}

export interface EndpointChanged extends EndpointFact {
  readonly change: 'created' | 'updated' | 'deleted'
}

export interface EndpointDisabled extends EndpointFact {
  readonly reason: DisabledReason
}

interface DeliveryFact extends EndpointFact {
  readonly deliveryId: string
}

/** One attempt is over. Never carries what was sent or answered. */
export interface AttemptFinished extends DeliveryFact {
  readonly number: number
  readonly ok: boolean
  readonly status: number | null
  /** Code of the error where there was no answer. */
  readonly error: string | null
  readonly durationMs: number
}

export interface DeliverySettled extends DeliveryFact {
  readonly state: 'succeeded' | 'failed' | 'cancelled'
}

const named = <Message>(name: string): Channel<unknown, Message> => channel(name) as Channel<unknown, Message>

export const endpointChanged: Channel<unknown, EndpointChanged> = named('webhooks.endpoint.changed')
/** By itself: because it is gone or nothing but fails. */
export const endpointDisabled: Channel<unknown, EndpointDisabled> = named('webhooks.endpoint.disabled')
export const secretRotated: Channel<unknown, EndpointFact> = named('webhooks.secret.rotated')
export const attemptFinished: Channel<unknown, AttemptFinished> = named('webhooks.attempt.finished')
export const deliverySettled: Channel<unknown, DeliverySettled> = named('webhooks.delivery.settled')

export interface DisabledNotice {
  readonly endpoint_id: string
  readonly url: string
  readonly reason: 'gone' | 'failing'
}

const disabledSchema: TUnsafe<DisabledNotice> = Type.Unsafe(
  Type.Object({
    endpoint_id: Type.String({ format: 'uuid' }),
    url: Type.String(),
    reason: Type.Union([Type.Literal('gone'), Type.Literal('failing')]),
  }),
)

/** In the log of events when an endpoint was disabled by itself; other endpoints of the tenant may ask for it. */
export const webhookEndpointDisabled: EventType<DisabledNotice> = defineEvent({
  type: 'webhook.endpoint_disabled',
  schema: disabledSchema,
  subject: ({ endpoint_id: id }) => id,
  description: 'An endpoint is disabled because it answered 410, or failed for days',
})

export interface TestNotice {
  readonly endpoint_id: string
  readonly message: string
}

const testSchema: TUnsafe<TestNotice> = Type.Unsafe(
  Type.Object({ endpoint_id: Type.String({ format: 'uuid' }), message: Type.String() }),
)

/** What `POST …/test` sends. */
export const webhookTest: EventType<TestNotice> = defineEvent({
  type: 'webhook.test',
  schema: testSchema,
  description: 'Somebody tries an endpoint out',
})
