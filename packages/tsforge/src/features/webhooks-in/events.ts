import { channel } from 'node:diagnostics_channel'
import type { Channel } from 'node:diagnostics_channel'
import type { WebhookRefusal } from './verifier.ts'

/** Never carries a body, a header or a secret. */
export interface WebhookInEvent {
  readonly source: string
  readonly tenantId: string | null
}

export interface WebhookAccepted extends WebhookInEvent {
  /** Ours. */
  readonly id: string
  /** The sender's. */
  readonly deliveryId: string
  readonly event: string | null
}

export interface WebhookRefused extends WebhookInEvent {
  /** `no_secret`: none is known for this address, or none that can be used. */
  readonly reason: WebhookRefusal | 'no_secret'
  /** Client address. */
  readonly ip: string
}

/** Stored, with the job that handles it. Published after the commit. */
export const webhookAccepted: Channel<unknown, WebhookAccepted> = channel('webhooks_in.delivery.accepted') as Channel<
  unknown,
  WebhookAccepted
>
/** Came before: the sender had not heard our answer, or somebody sends again what he captured. */
export const webhookRepeated: Channel<unknown, Omit<WebhookAccepted, 'id'>> = channel(
  'webhooks_in.delivery.repeated',
) as Channel<unknown, Omit<WebhookAccepted, 'id'>>
export const webhookRefused: Channel<unknown, WebhookRefused> = channel('webhooks_in.delivery.refused') as Channel<
  unknown,
  WebhookRefused
>
/** Its handler is not tried again. */
export const webhookDead: Channel<unknown, WebhookAccepted> = channel('webhooks_in.delivery.dead') as Channel<
  unknown,
  WebhookAccepted
>
