import type { Slice } from '../../kernel/page.ts'
import { port } from '../../kernel/plugin.ts'
import type { Port } from '../../kernel/plugin.ts'
import type { Queryable } from '../db/index.ts'
import type { EventsDriver, ParkedFilter, ParkedRecord, RedriveEvents, SubscriptionStatus } from './driver.ts'
import type { EventType, LoggedEvent, Position } from './event.ts'

export type { LoggedEvent, Position } from './event.ts'

export interface EmitOptions {
  readonly subject?: string
  readonly key?: string
  /** Default: the tenant of the unit of work. `null`: none. */
  readonly tenantId?: string | null
}

export interface ReadOptions {
  /** Events behind this position. `undefined`: from the oldest that is kept. */
  readonly after: Position | undefined
  /** At most 1000. Default 100. */
  readonly limit?: number
  /** Kinds of events, `*` for one part and `**` for the rest. Default all. */
  readonly types?: readonly string[]
  /** Only of this tenant. */
  readonly tenantId?: string
}

export interface ReadResult {
  readonly events: readonly LoggedEvent[]
  /** Where to go on, also when nothing matched. */
  readonly next: Position
  /** Whether `next` is the end of the log as it was. */
  readonly end: boolean
}

/** Which page of parked events. */
export interface ParkedPage {
  /** Default 50, at most 1000. */
  readonly limit?: number
  /** `next` of the page before. */
  readonly after?: readonly (string | null)[]
}

/** The outbox: facts that leave a transaction exactly if it commits, in an order that everybody sees alike. */
export interface Events {
  readonly driver: EventsDriver
  /**
   * Writes the event in `tx` (any object with `query(text, values)`; the database itself for an event alone). It exists when
   * that commits and never when it does not. Fails with `events.data_invalid`, `events.data_too_large`,
   * `events.option_invalid`, or as the store does.
   */
  emit<Data>(tx: Queryable, type: EventType<Data>, data: Data, options?: EmitOptions): Promise<{ readonly id: string }>
  /** All or none, in one statement; ids in the order given. */
  emitMany<Data>(
    tx: Queryable,
    type: EventType<Data>,
    items: readonly (EmitOptions & { readonly data: Data })[],
  ): Promise<readonly { readonly id: string }[]>

  /**
   * Reads the log without gaps: what commits later always gets a later position. Fails with `events.position_unknown`
   * for one that is not of this log, `events.position_expired` for one that retention has removed.
   */
  read(options: ReadOptions): Promise<ReadResult>
  /** The position of the newest event, or the beginning. */
  head(): Promise<Position>
  /** Calls the listener, soon after a commit on any process, when there may be more to read. Gives how to end that. */
  watch(listener: () => void): () => void

  /** How far each subscription is that the store knows. */
  subscriptions(): Promise<readonly SubscriptionStatus[]>
  /**
   * Moves a subscription to behind `after` (`undefined`: to the oldest event that is kept): what follows is delivered again.
   * What it did by `call.once` is not done again. Fails with `events.subscription_unknown` and as `read` does.
   */
  replay(subscription: string, after: Position | undefined): Promise<void>
  /** Events that wait beside the log for their next attempt or are dead, oldest first within a subscription. */
  parked(filter?: ParkedFilter, page?: ParkedPage): Promise<Slice<ParkedRecord>>
  /** Delivers a dead event again, from its first attempt. Fails with `events.unknown`. */
  retry(subscription: string, id: string): Promise<void>
  /** Delivers dead events again, at a rate. Gives how many. */
  redrive(request?: Partial<RedriveEvents>): Promise<number>
  /** Forgets dead events. Gives how many. */
  removeDead(filter: ParkedFilter): Promise<number>

  /** Prepares the store. */
  start(): Promise<void>
  /** Ends watching. The driver is closed by whoever made it. */
  close(): Promise<void>
}

export const eventsPort: Port<Events> = port<Events>('events', () =>
  import('./plugin.ts').then((module) => module.events()),
)
