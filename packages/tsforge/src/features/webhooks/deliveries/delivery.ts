import type { BodyFormat } from '../endpoints/endpoint.ts'

/** `cancelled`: its endpoint was disabled or deleted before it was over. */
export type DeliveryState = 'pending' | 'succeeded' | 'failed' | 'cancelled'

/** One message on its way to one endpoint. */
export interface Delivery {
  readonly id: string
  readonly endpointId: string
  readonly messageId: string
  /** `webhook-id`, the same in every attempt. */
  readonly eventId: string
  readonly type: string
  readonly state: DeliveryState
  readonly format: BodyFormat
  readonly attempts: number
  /** When the next attempt is due, as far as it is known. */
  readonly nextAt: Date | null
  readonly lastStatus: number | null
  readonly lastError: string | null
  readonly createdAt: Date
  readonly settledAt: Date | null
}

export interface DeliveryFilter {
  readonly endpointId?: string
  readonly messageId?: string
  readonly state?: DeliveryState
  readonly type?: string
}

export interface Attempt {
  readonly id: string
  readonly deliveryId: string
  readonly number: number
  readonly ok: boolean
  readonly status: number | null
  /** Code of the error where there was no answer, e.g. `egress.timeout`. */
  readonly error: string | null
  /** Without the values of its query. */
  readonly url: string
  /** The address that answered; `null` when none did, or behind a proxy. */
  readonly address: string | null
  readonly durationMs: number
  /** Secrets read `[redacted]`. */
  readonly requestHeaders: Readonly<Record<string, string>>
  readonly responseHeaders: Readonly<Record<string, string>> | null
  /** As text, cut and redacted. */
  readonly responseBody: string | null
  readonly responseClipped: boolean
  readonly startedAt: Date
}

/** How one attempt went. */
export interface Outcome {
  readonly attempt: Attempt
  readonly retryAfterMs: number | undefined
}

export interface Message {
  readonly id: string
  readonly eventId: string
  readonly type: string
  /** Exactly what is sent, by format; `null` where no endpoint wants it so. */
  readonly body: string | null
  readonly cloudEvent: string | null
  readonly createdAt: Date
}

export interface Replay {
  readonly since: Date
  readonly until?: Date
  readonly types?: readonly string[]
  /** Default what has failed or was cancelled. */
  readonly states?: readonly Exclude<DeliveryState, 'pending'>[]
  /** Only count. */
  readonly preview?: boolean
}

export interface Replayed {
  /** So many fit; with `preview` all, else those that were begun. */
  readonly count: number
  /** There are more than were begun: ask again. */
  readonly more: boolean
  /** The oldest of them, at most 10. */
  readonly sample: readonly Delivery[]
}

export interface EndpointStats {
  readonly deliveries: Readonly<Record<DeliveryState, number>>
  readonly attempts: number
  readonly failures: number
  /** Milliseconds, of attempts that were answered; `null` without any. */
  readonly p50Ms: number | null
  readonly p95Ms: number | null
  /** Since when nothing but failures; `null`: the last attempt succeeded. */
  readonly failingSince: Date | null
  readonly restsUntil: Date | null
}
