import type { Actor } from '../../kernel/context.ts'
import { port } from '../../kernel/plugin.ts'
import type { Port } from '../../kernel/plugin.ts'
import type { Standing, Stream } from './stream.ts'
import type { Topic } from './topic.ts'

export interface StreamRequest {
  readonly standing: Standing
  /** Names of topics, 1 to 20. */
  readonly topics: readonly string[]
  /** The id of the last event that the caller got, as he says. */
  readonly lastEventId?: string | undefined
}

/** A right to open one stream, for callers who cannot send headers. */
export interface Ticket {
  /** `st_` and 256 random bits. Works once. */
  readonly ticket: string
  readonly expiresAt: Date
}

/** Streams of events to the callers of the app. */
export interface Realtime {
  readonly topics: readonly Topic[]
  /** Open streams of this process. */
  readonly streams: number
  /**
   * A stream, ready to be opened as an answer that lasts. Fails with `realtime.topic_unknown`, `realtime.topic_denied`,
   * `tenant.required`, `realtime.position_malformed`, `realtime.too_many_streams`, `realtime.full`, `realtime.draining`, or
   * as the log does.
   */
  open(request: StreamRequest): Promise<Stream>
  issueTicket(actor: Actor, tenantId: string | null): Promise<Ticket>
  /** Who asked for the ticket; nobody gets that answer twice. Fails with `realtime.ticket_invalid`. */
  redeemTicket(ticket: string): Promise<Actor>
}

export const realtimePort: Port<Realtime> = port<Realtime>('realtime', () =>
  import('./plugin.ts').then((module) => module.realtime()),
)
