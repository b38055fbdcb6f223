import type { Slice } from '../../kernel/page.ts'
import { port } from '../../kernel/plugin.ts'
import type { Port } from '../../kernel/plugin.ts'
import type { WebhookSource } from './source.ts'
import type { Headers } from './verifier.ts'

/** `dead`: its handler is not tried again by itself. */
export type DeliveryState = 'pending' | 'handled' | 'dead'

/** A delivery as people see it. */
export interface DeliveryRecord {
  readonly id: string
  readonly source: string
  readonly tenantId: string | null
  readonly deliveryId: string
  readonly event: string | null
  readonly state: DeliveryState
  /** Runs of its handler that failed. */
  readonly attempts: number
  /** Name of the latest failure. */
  readonly error: string | null
  readonly signedAt: Date | null
  readonly receivedAt: Date
  readonly settledAt: Date | null
  readonly bytes: number
  readonly jobId: number | null
}

export interface DeliveryContent extends DeliveryRecord {
  readonly headers: Readonly<Record<string, string>>
  readonly contentType: string | null
  readonly body: Buffer
}

export interface DeliveryFilter {
  /** `null`: those of the app itself. Absent: all. */
  readonly tenantId?: string | null
  readonly source?: string
  readonly state?: DeliveryState
  readonly event?: string
}

export interface IncomingWebhook {
  readonly source: string
  /** Of the address. */
  readonly tenant: string | undefined
  /** Names in lower case. */
  readonly headers: Headers
  readonly body: Buffer
  readonly ip: string
}

export type Received =
  | { readonly status: 'accepted'; readonly id: string }
  /** `confirmed`: nothing came but the wish to send, and the sender was told that it may. */
  | { readonly status: 'repeated' | 'ignored' | 'confirmed' }
  | { readonly status: 'challenge'; readonly challenge: string }

/** Webhooks that others send to us. */
export interface WebhooksIn {
  /** Adds a source, from the `setup` of another part. Throws `webhooks_in.source_invalid`, also when the app runs already. */
  declare(source: WebhookSource): void
  readonly sources: ReadonlyMap<string, WebhookSource>
  /** Names of those of the app's own that have no secret which can be used: everything sent to them is refused. */
  withoutSecret(): Promise<readonly string[]>
  /**
   * Verifies and stores one request together with its job. Fails with `webhooks_in.source_unknown`, `signature_missing`,
   * `timestamp_invalid`, `signature_invalid`, `raw_delivery`, `unavailable`.
   */
  receive(incoming: IncomingWebhook): Promise<Received>
  /** Newest first. `after`: `next` of the page before. */
  list(
    filter?: DeliveryFilter,
    page?: { readonly limit?: number; readonly after?: readonly (string | null)[] },
  ): Promise<Slice<DeliveryRecord>>
  /** Fails with `webhooks_in.delivery_unknown`, also for one of another tenant when that is given. */
  get(id: string, tenantId?: string | null): Promise<DeliveryContent>
  /**
   * Handles it again, with all its attempts. What `once` had done for a dead one stays done; one that was handled is done anew.
   * Fails with `webhooks_in.delivery_unknown`, `delivery_open`, `delivery_gone`.
   */
  replay(id: string, tenantId?: string | null): Promise<void>
}

export const webhooksInPort: Port<WebhooksIn> = port<WebhooksIn>('webhooks-in', () =>
  import('./plugin.ts').then((module) => module.webhooksIn()),
)
