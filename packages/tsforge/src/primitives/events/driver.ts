import type { Queryable, Tx } from '../db/index.ts'
import type { LoggedEvent, Position } from './event.ts'

export type { LoggedEvent, Position, Queryable, Tx }

/** A window of the log and a place in it. */
export interface Place {
  readonly window: number
  readonly seq: number
}

const positionPattern = /^(\d{12})-(\d{16})$/

/** Of fixed width, so that the order of texts is that of the log. */
export function positionOf({ window, seq }: Place): Position {
  return `${String(window).padStart(12, '0')}-${String(seq).padStart(16, '0')}`
}

/** `undefined` for a text that is no position. */
export function placeOf(position: Position): Place | undefined {
  const [, window, seq] = positionPattern.exec(position) ?? []
  const place = { window: Number(window), seq: Number(seq) }
  return Number.isSafeInteger(place.window) && Number.isSafeInteger(place.seq) ? place : undefined
}

/** Before the first event. */
export const beginning: Position = positionOf({ window: 0, seq: 0 })

/** An event as drivers store it: complete and checked. */
export interface NewEvent {
  readonly id: string
  readonly type: string
  readonly version: number
  readonly source: string
  /** JSON text, stored as it is. */
  readonly data: string
  readonly subject: string | undefined
  readonly key: string | undefined
  readonly tenantId: string | undefined
  readonly actor: string | undefined
  readonly trace: string | undefined
}

export interface ReadRequest {
  readonly after: Position | undefined
  /** Most events, 1 to 1000. */
  readonly limit: number
  /** Source of a regular expression over the type. Absent: all. */
  readonly match?: string | undefined
  readonly tenantId?: string | undefined
  /** Only as far as somebody had looked when the listeners were told: cheaper for who goes on whenever they are. */
  readonly told?: boolean | undefined
}

export interface LogPage {
  readonly events: readonly LoggedEvent[]
  /** Where to go on, also when nothing matched. */
  readonly next: Position
  /** Whether there was nothing behind `next`. */
  readonly end: boolean
}

/** A subscription as its processes know it. */
export interface Wanted {
  readonly name: string
  /** Where it begins when the store has never heard of it. */
  readonly from: 'now' | 'start'
}

/** The right to handle one subscription: whoever claims it later has a greater fence, and this one is over. */
export interface Lease {
  readonly name: string
  readonly fence: number
  readonly cursor: Position
  /** Where it stood, when retention has removed what followed. */
  readonly skippedFrom?: Position | undefined
}

export interface EventFault {
  readonly name: string
  readonly message: string
}

/** An event that waits beside the log. */
export interface Park {
  readonly event: LoggedEvent
  /** Runs that have failed; 0: it waits behind another one of its key. */
  readonly attempt: number
  readonly delayMs: number
  readonly error?: EventFault | undefined
  readonly dead: boolean
}

/** How the run of a parked event ended. */
export interface Retried {
  readonly position: Position
  readonly as: 'done' | 'failed' | 'dead'
  readonly delayMs: number
  readonly error?: EventFault | undefined
}

/** What has happened to a subscription since the last time. */
export interface Report {
  /** Everything up to here is handled or parked. */
  readonly cursor: Position
  readonly park: readonly Park[]
  readonly retried: readonly Retried[]
}

export interface Settled {
  /** False: the lease is over, and nothing of the report counts. */
  readonly held: boolean
  /** Keys of retried events for which nothing waits any more. */
  readonly freed: readonly string[]
}

export interface ParkedEvent {
  readonly event: LoggedEvent
  readonly attempt: number
}

export interface Due {
  /** Due now, oldest first. */
  readonly events: readonly ParkedEvent[]
  /** How many wait, due or not. */
  readonly waiting: number
  /** When the next one is due. */
  readonly nextMs: number | undefined
}

export type ParkedState = 'waiting' | 'dead'

/** A parked event as people see it. */
export interface ParkedRecord extends ParkedEvent {
  readonly subscription: string
  readonly state: ParkedState
  readonly parkedAt: Date
  readonly diedAt: Date | undefined
  /** `undefined`: behind another one of its key, or dead. */
  readonly dueAt: Date | undefined
  readonly error: EventFault | undefined
}

export interface ParkedFilter {
  readonly subscription?: string
  readonly state?: ParkedState
  /** Of the event. */
  readonly id?: string
  readonly type?: string
  readonly tenantId?: string
}

export interface ParkedRequest {
  readonly filter: ParkedFilter
  /** 1 to 1000. */
  readonly limit: number
  /** Of subscription and position; oldest first. */
  readonly after?: readonly [subscription: string, position: Position] | undefined
}

export interface RedriveEvents {
  /** Dead ones only; `state` is ignored. */
  readonly filter: ParkedFilter
  /** Most events, oldest first. Default all. */
  readonly limit?: number | undefined
  /** Spreads their times. Default: all at once. */
  readonly perSecond?: number | undefined
}

export interface SubscriptionStatus {
  readonly name: string
  readonly cursor: Position
  /** Events of any kind behind its cursor; counted up to 100,000. */
  readonly lag: number
  /** Age of the oldest of them. */
  readonly lagMs: number
  readonly waiting: number
  readonly dead: number
  /** Who handles it now. */
  readonly holder: string | undefined
  /** When a process last had it. */
  readonly seenAt: Date
}

export interface MaintainEvents {
  /** Events, and what was done once, are kept at least so long. */
  readonly retentionMs: number
  readonly deadMs: number
}

export interface MaintainedEvents {
  readonly partitionsCreated: readonly string[]
  readonly partitionsDropped: readonly string[]
  /** Subscriptions that no process has had for the whole retention; they keep their place, but keep no events. */
  readonly retired: readonly string[]
  readonly deadRemoved: number
}

export interface EventsCapabilities {
  /** Survives the process. */
  readonly durable: boolean
  /** Other processes see the same log. */
  readonly shared: boolean
  /** Events commit and vanish with any transaction, subscriptions with the work that they do. */
  readonly transactions: boolean
  /** `listen` hears other processes. */
  readonly listen: boolean
}

/**
 * What a store of events promises. Time is that of the store. Every method may reject with the errors of the store
 * (`db.*`); nothing else of it leaks.
 */
export interface EventsDriver {
  readonly name: string
  readonly capabilities: EventsCapabilities
  /** Opens and prepares (partitions). Idempotent. */
  start(): Promise<void>
  close(): Promise<void>

  /** All or nothing, in `tx`. One statement. */
  append(events: readonly NewEvent[], tx: Queryable): Promise<void>
  /**
   * What commits later has a greater position, whoever reads; events of one key stand in the order in which they were
   * emitted as far as one emitter could see the other. Fails with `events.position_unknown` and `events.position_expired`.
   */
  read(request: ReadRequest): Promise<LogPage>
  /** Behind everything that has committed. */
  head(): Promise<Position>
  /** Hears that there may be something new, or that a subscription is free. May be deaf and may miss any. */
  listen(listener: () => void): Promise<() => Promise<void>>
  /** From now on, and for so long, commits of events are told to all who listen; 0: this waiter does not need it any more. */
  await(waiter: string, forMs: number): Promise<void>

  /** Makes known what is unknown, and notes that somebody has these. */
  declare(wanted: readonly Wanted[]): Promise<void>
  /** Those of `names` that nobody holds, for `holder`. */
  claim(names: readonly string[], holder: string, leaseMs: number): Promise<readonly Lease[]>
  /** Prolongs all leases of the holder and gives their fences; what is missing is lost. */
  renew(holder: string, leaseMs: number): Promise<readonly Pick<Lease, 'name' | 'fence'>[]>
  /** Hands leases back, so that others claim them at once. */
  release(leases: readonly Pick<Lease, 'name' | 'fence'>[]): Promise<void>
  /** All or nothing, and only while the lease is the latest one. */
  settle(lease: Pick<Lease, 'name' | 'fence'>, report: Report): Promise<Settled>
  /** Keys for which something waits. */
  blocked(name: string): Promise<readonly string[]>
  /** Positions behind `after` of events that wait: who reads the log from there meets them a second time. */
  besides(name: string, after: Position): Promise<readonly Position[]>
  due(name: string, limit: number): Promise<Due>
  /**
   * Does the work and moves the cursor in one transaction. False when the lease is over; then the work is undone, or was
   * not begun.
   */
  commit(
    lease: Pick<Lease, 'name' | 'fence'>,
    cursor: Position,
    work: (tx: Queryable) => Promise<void>,
  ): Promise<boolean>
  /** Runs the work in a transaction unless it has been done for this subscription and event. */
  once<T>(name: string, eventId: string, work: (tx: Tx) => Promise<T>): Promise<T | undefined>

  status(): Promise<readonly SubscriptionStatus[]>
  /** Moves the cursor, and ends the lease of whoever has it. False for one that is unknown. */
  seek(name: string, cursor: Position): Promise<boolean>
  listParked(request: ParkedRequest): Promise<readonly ParkedRecord[]>
  /** Dead events become waiting ones without attempts. Gives how many. */
  redrive(request: RedriveEvents): Promise<number>
  /** Forgets dead events for good. Gives how many. */
  removeDead(filter: ParkedFilter): Promise<number>
  /** Creates partitions ahead, drops what is old and passed, prunes. Safe from many processes. */
  maintain(request: MaintainEvents): Promise<MaintainedEvents>
}
