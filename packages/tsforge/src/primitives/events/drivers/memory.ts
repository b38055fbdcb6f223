import { systemClock } from '../../../kernel/clock.ts'
import type { Clock } from '../../../kernel/clock.ts'
import { beginning, placeOf, positionOf } from '../driver.ts'
import type {
  Due,
  EventsDriver,
  Lease,
  LoggedEvent,
  LogPage,
  MaintainedEvents,
  MaintainEvents,
  NewEvent,
  ParkedFilter,
  ParkedRecord,
  ParkedRequest,
  Position,
  Queryable,
  ReadRequest,
  RedriveEvents,
  Report,
  Settled,
  SubscriptionStatus,
  Tx,
  Wanted,
} from '../driver.ts'
import { eventsErrors } from '../errors.ts'
import { Shelf } from './memory/shelf.ts'
import type { Parked } from './memory/shelf.ts'

export interface MemoryEventsOptions {
  readonly clock?: Pick<Clock, 'now'>
  /** Runs what subscriptions do in transactions. Absent: `once` and `inTransaction` are refused (`events.tx_unsupported`). */
  readonly db?: { tx<T>(work: (tx: Tx) => Promise<T>): Promise<T> }
}

/**
 * Events in this process. They are in the log when the transaction that emitted them has committed, as far as it can tell: a `Tx` of
 * tsforge/db does, any other counts as committed at once.
 */
export function memory(options: MemoryEventsOptions = {}): EventsDriver {
  return new MemoryEvents(options)
}

type Held = Pick<Lease, 'name' | 'fence'>

class MemoryEvents implements EventsDriver {
  readonly name = 'memory'
  readonly capabilities = { durable: false, shared: false, transactions: false, listen: true } as const
  readonly #clock: Pick<Clock, 'now'>
  readonly #db: MemoryEventsOptions['db']
  /** Each event is a window of its own. */
  #log: { readonly event: LoggedEvent; readonly atMs: number }[] = []
  #last = 0
  #floor: Position = beginning
  readonly #listeners = new Set<() => void>()
  readonly #subscriptions = new Map<string, Shelf>()

  constructor({ clock = systemClock, db }: MemoryEventsOptions) {
    this.#clock = clock
    this.#db = db
  }

  async start(): Promise<void> {}
  async close(): Promise<void> {}

  async append(events: readonly NewEvent[], tx: Queryable): Promise<void> {
    const write = (): void => {
      for (const event of events) this.#write(event)
      this.#tell()
    }
    if ('afterCommit' in tx && typeof tx.afterCommit === 'function') (tx as Tx).afterCommit(write)
    else write()
  }

  async read({ after, limit, match, tenantId }: ReadRequest): Promise<LogPage> {
    const from = after ?? this.#floor
    if (placeOf(from)!.window > this.#last) throw eventsErrors.error('events.position_unknown')
    if (from < this.#floor) throw eventsErrors.error('events.position_expired')
    const pattern = match === undefined ? undefined : new RegExp(match)
    const events: LoggedEvent[] = []
    let next = from
    for (let at = this.#indexAfter(from); at < this.#log.length && events.length < limit; at++) {
      const { event } = this.#log[at]!
      next = event.sequence
      if (pattern?.test(event.type) === false || (tenantId !== undefined && event.tenantid !== tenantId)) continue
      events.push(event)
    }
    return { events, next, end: next === this.#end() || this.#indexAfter(next) === this.#log.length }
  }

  async head(): Promise<Position> {
    return this.#end()
  }

  async listen(listener: () => void): Promise<() => Promise<void>> {
    this.#listeners.add(listener)
    return async () => void this.#listeners.delete(listener)
  }

  async await(): Promise<void> {}

  async declare(wanted: readonly Wanted[]): Promise<void> {
    for (const { name, from } of wanted) {
      const cursor = from === 'now' ? this.#end() : this.#floor
      if (!this.#subscriptions.has(name)) this.#subscriptions.set(name, new Shelf(name, cursor))
      this.#subscriptions.get(name)!.seenMs = this.#clock.now()
    }
  }

  async claim(names: readonly string[], holder: string, leaseMs: number): Promise<readonly Lease[]> {
    const now = this.#clock.now()
    return names.flatMap((name) => {
      const shelf = this.#subscriptions.get(name)
      if (shelf === undefined || shelf.untilMs > now) return []
      const skippedFrom = shelf.cursor < this.#floor ? shelf.cursor : undefined
      if (skippedFrom !== undefined) shelf.cursor = this.#floor
      shelf.hold(holder, now + leaseMs)
      return [{ name, fence: shelf.fence, cursor: shelf.cursor, skippedFrom }]
    })
  }

  async renew(holder: string, leaseMs: number): Promise<readonly Held[]> {
    const now = this.#clock.now()
    const mine = [...this.#subscriptions.values()].filter((each) => each.holder === holder)
    for (const each of mine) {
      each.untilMs = now + leaseMs
      each.seenMs = now
    }
    return mine.map(({ name, fence }) => ({ name, fence }))
  }

  async release(leases: readonly Held[]): Promise<void> {
    for (const lease of leases) this.#held(lease)?.free()
    this.#tell()
  }

  async settle(lease: Held, { cursor, park, retried }: Report): Promise<Settled> {
    const shelf = this.#held(lease)
    if (shelf === undefined) return { held: false, freed: [] }
    const now = this.#clock.now()
    shelf.cursor = cursor
    shelf.park(park, now)
    return { held: true, freed: shelf.retried(retried, now) }
  }

  async blocked(name: string): Promise<readonly string[]> {
    return this.#subscriptions.get(name)?.keys() ?? []
  }

  async besides(name: string, after: Position): Promise<readonly Position[]> {
    return this.#subscriptions.get(name)?.behind(after) ?? []
  }

  async due(name: string, limit: number): Promise<Due> {
    return this.#subscriptions.get(name)?.due(this.#clock.now(), limit) ?? { events: [], waiting: 0, nextMs: undefined }
  }

  async commit(lease: Held, cursor: Position, work: (tx: Queryable) => Promise<void>): Promise<boolean> {
    if (this.#held(lease) === undefined) return false
    await this.#inTx(work)
    const shelf = this.#held(lease)
    if (shelf !== undefined) shelf.cursor = cursor
    return shelf !== undefined
  }

  async once<T>(name: string, eventId: string, work: (tx: Tx) => Promise<T>): Promise<T | undefined> {
    const done = this.#subscriptions.get(name)?.done
    if (done === undefined || done.has(eventId)) return undefined
    done.set(eventId, this.#clock.now())
    try {
      return await this.#inTx(work)
    } catch (error) {
      done.delete(eventId)
      throw error
    }
  }

  async status(): Promise<readonly SubscriptionStatus[]> {
    const now = this.#clock.now()
    return [...this.#subscriptions.values()].map((shelf) => {
      const at = this.#indexAfter(shelf.cursor)
      const records = shelf.records()
      return {
        name: shelf.name,
        cursor: shelf.cursor,
        lag: this.#log.length - at,
        lagMs: at < this.#log.length ? Math.max(0, now - this.#log[at]!.atMs) : 0,
        waiting: records.filter(({ state }) => state === 'waiting').length,
        dead: records.filter(({ state }) => state === 'dead').length,
        holder: shelf.untilMs > now ? shelf.holder : undefined,
        seenAt: new Date(shelf.seenMs),
      }
    })
  }

  async seek(name: string, cursor: Position): Promise<boolean> {
    const shelf = this.#subscriptions.get(name)
    if (shelf === undefined) return false
    shelf.free()
    shelf.cursor = cursor < this.#floor ? this.#floor : cursor
    this.#tell()
    return true
  }

  async listParked({ filter, limit, after }: ParkedRequest): Promise<readonly ParkedRecord[]> {
    const behind = (record: ParkedRecord): boolean =>
      after === undefined ||
      record.subscription > after[0] ||
      (record.subscription === after[0] && record.event.sequence > after[1])
    return this.#parked(filter)
      .map((each) => each.record())
      .filter(behind)
      .slice(0, limit)
  }

  async redrive({ filter, limit = Number.POSITIVE_INFINITY, perSecond }: RedriveEvents): Promise<number> {
    const dead = this.#parked({ ...filter, state: 'dead' }).slice(0, limit)
    const gapMs = perSecond === undefined ? 0 : 1000 / perSecond
    for (const [i, each] of dead.entries()) each.revive(this.#clock.now() + i * gapMs)
    if (dead.length > 0) this.#tell()
    return dead.length
  }

  async removeDead(filter: ParkedFilter): Promise<number> {
    const dead = this.#parked({ ...filter, state: 'dead' })
    for (const each of dead) this.#subscriptions.get(each.subscription)!.remove(each)
    return dead.length
  }

  async maintain({ retentionMs, deadMs }: MaintainEvents): Promise<MaintainedEvents> {
    const now = this.#clock.now()
    const all = [...this.#subscriptions.values()]
    const retired = all.filter(({ seenMs }) => seenMs < now - retentionMs)
    const live = all.filter((each) => !retired.includes(each))
    const passed = live.reduce((least, { cursor }) => (cursor < least ? cursor : least), this.#end())
    const keep = this.#log.findIndex(({ event, atMs }) => event.sequence > passed || atMs >= now - retentionMs)
    const dropped = this.#log.splice(0, keep === -1 ? this.#log.length : keep)
    this.#floor = dropped.at(-1)?.event.sequence ?? this.#floor
    let deadRemoved = 0
    for (const shelf of all) deadRemoved += shelf.sweep(now - retentionMs, now - deadMs)
    return { partitionsCreated: [], partitionsDropped: [], retired: retired.map(({ name }) => name), deadRemoved }
  }

  #inTx<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    if (this.#db === undefined) throw eventsErrors.error('events.tx_unsupported')
    return this.#db.tx(work)
  }

  #write({ id, type, source, subject, data, version, tenantId, actor, trace, key }: NewEvent): void {
    const atMs = this.#clock.now()
    this.#last++
    const event: LoggedEvent = {
      specversion: '1.0',
      id,
      source,
      type,
      ...(subject !== undefined && { subject }),
      time: new Date(atMs).toISOString(),
      datacontenttype: 'application/json',
      data: JSON.parse(data) as unknown,
      dataversion: version,
      ...(tenantId !== undefined && { tenantid: tenantId }),
      ...(actor !== undefined && { actor }),
      ...(trace !== undefined && { traceparent: trace }),
      ...(key !== undefined && { partitionkey: key }),
      sequence: positionOf({ window: this.#last, seq: this.#last }),
    }
    this.#log.push({ event, atMs })
  }

  #end(): Position {
    return this.#last === 0 ? beginning : positionOf({ window: this.#last, seq: this.#last })
  }

  /** Of the first event behind a position: they are numbered without gaps. */
  #indexAfter(position: Position): number {
    const first = this.#last - this.#log.length
    return Math.max(0, placeOf(position)!.window - first)
  }

  #held({ name, fence }: Held): Shelf | undefined {
    const shelf = this.#subscriptions.get(name)
    return shelf !== undefined && shelf.fence === fence && shelf.holder !== undefined ? shelf : undefined
  }

  #parked({ subscription, state, id, type, tenantId }: ParkedFilter): Parked[] {
    const names = [...this.#subscriptions.keys()].sort()
    return names.flatMap((name) =>
      subscription !== undefined && subscription !== name
        ? []
        : this.#subscriptions
            .get(name)!
            .all()
            .filter(
              (each) =>
                (state === undefined || each.state === state) &&
                (id === undefined || each.event.id === id) &&
                (type === undefined || each.event.type === type) &&
                (tenantId === undefined || each.event.tenantid === tenantId),
            ),
    )
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener()
  }
}
