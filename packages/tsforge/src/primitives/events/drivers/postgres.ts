import type { Db } from '../../db/index.ts'
import { placeOf, positionOf } from '../driver.ts'
import type {
  Due,
  EventsCapabilities,
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
  Place,
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
import { dueEvents, listParked, redrive, removeDead } from './postgres/parked.ts'
import { emitted, eventOf, parkText, retriedText } from './postgres/rows.ts'
import type { LogRow } from './postgres/rows.ts'

export interface PostgresEventsOptions {
  /** Where the log lies; its migrations must have run. Who made it closes it. */
  readonly db: Db
}

/** The name of all notifications. */
const channel = 'forge_events'

/** Rows that one read looks at for those that fit, so that a rare kind of event keeps no statement running. */
const mostScanned = 5000
/** Rows that one statement of the care for the log removes. */
const sweepPart = 10_000

/** Events in PostgreSQL 14 or later, PGlite and the embedded server, with or without a pooler in between. */
export function postgres(options: PostgresEventsOptions): EventsDriver {
  return new PostgresEvents(options)
}

type Held = Pick<Lease, 'name' | 'fence'>

class PostgresEvents implements EventsDriver {
  readonly name = 'postgres'
  readonly capabilities: EventsCapabilities
  readonly #db: Db

  constructor({ db }: PostgresEventsOptions) {
    this.#db = db
    this.capabilities = { durable: true, shared: true, transactions: true, listen: db.capabilities.listen }
  }

  async start(): Promise<void> {
    await this.#db.query('select forge_events_heal()', [])
    await this.#db.query('select forge_events_partitions(7)', [])
  }

  async close(): Promise<void> {}

  async append(events: readonly NewEvent[], tx: Queryable): Promise<void> {
    await tx.query('/* writes */ select forge_events_emit($1)', [emitted(events)])
  }

  async read({ after, limit, match, tenantId, told }: ReadRequest): Promise<LogPage> {
    const from = after === undefined ? undefined : place(after)
    const scan = match === undefined && tenantId === undefined ? limit : Math.max(limit, mostScanned)
    const { rows } = await this.#db.query<LogRow>(readText, [
      from?.window ?? null,
      from?.seq ?? null,
      limit,
      scan,
      match ?? null,
      tenantId ?? null,
      told !== true,
    ])
    const last = rows.pop()!
    if (last.type === 'unknown') throw eventsErrors.error('events.position_unknown')
    if (last.type === 'expired') throw eventsErrors.error('events.position_expired')
    const events: LoggedEvent[] = []
    for (const row of rows) events.push(eventOf(row))
    return { events, next: positionOf(last), end: last.type === 'end' }
  }

  async head(): Promise<Position> {
    const { rows } = await this.#db.query<Place>(
      'select no::float8 as window, seq::float8 as seq from forge_events_close()',
      [],
    )
    return positionOf(rows[0]!)
  }

  async listen(listener: () => void): Promise<() => Promise<void>> {
    if (!this.capabilities.listen) return async () => {}
    return this.#db.listen(channel, listener, listener)
  }

  async await(waiter: string, forMs: number): Promise<void> {
    if (forMs === 0) await this.#db.query('delete from forge_events_waiting where waiter = $1', [waiter])
    else
      await this.#db.query(
        `insert into forge_events_waiting (waiter, until) values ($1, clock_timestamp() + $2 * interval '1 millisecond')
         on conflict (waiter) do update set until = excluded.until`,
        [waiter, forMs],
      )
  }

  async declare(wanted: readonly Wanted[]): Promise<void> {
    if (wanted.length === 0) return
    const text = JSON.stringify(wanted.map(({ name, from }) => ({ name, from })))
    await this.#db.query('/* writes */ select forge_events_declare($1)', [text])
  }

  async claim(names: readonly string[], holder: string, leaseMs: number): Promise<readonly Lease[]> {
    const { rows } = await this.#db.query<
      Place & { name: string; fence: number; was_window: number | null; was_seq: number | null }
    >(
      `/* writes */ select name, fence::float8 as fence, no::float8 as window, seq::float8 as seq,
         was_no::float8 as was_window, was_seq::float8 as was_seq
       from forge_events_claim($1, $2, $3)`,
      [names, holder, leaseMs],
    )
    return rows.map(({ name, fence, window, seq, was_window, was_seq }) => ({
      name,
      fence,
      cursor: positionOf({ window, seq }),
      ...(was_window !== null && { skippedFrom: positionOf({ window: was_window, seq: was_seq! }) }),
    }))
  }

  async renew(holder: string, leaseMs: number): Promise<readonly Held[]> {
    const { rows } = await this.#db.query<Held>(
      `update forge_events_subscriptions
       set until = clock_timestamp() + $2 * interval '1 millisecond', seen_at = clock_timestamp()
       where name in (select name from forge_events_subscriptions where holder = $1 order by name for update)
       returning name, fence::float8 as fence`,
      [holder, leaseMs],
    )
    return rows
  }

  async release(leases: readonly Held[]): Promise<void> {
    if (leases.length === 0) return
    await this.#db.query(
      `with freed as (
         update forge_events_subscriptions s set fence = s.fence + 1, holder = null, until = '-infinity'
         from unnest($1::text[], $2::bigint[]) as l (name, fence) where s.name = l.name and s.fence = l.fence
         returning s.name
       )
       select pg_notify('${channel}', '') from freed limit 1`,
      [leases.map(({ name }) => name), leases.map(({ fence }) => fence)],
    )
  }

  async settle({ name, fence }: Held, { cursor, park, retried }: Report): Promise<Settled> {
    const { window, seq } = place(cursor)
    const { rows } = await this.#db.query<{ freed: string[] | null }>(
      '/* writes */ select forge_events_settle($1, $2, $3, $4, $5, $6) as freed',
      [name, fence, window, seq, parkText(park, place), retriedText(retried, place)],
    )
    const { freed } = rows[0]!
    return { held: freed !== null, freed: freed ?? [] }
  }

  async blocked(name: string): Promise<readonly string[]> {
    const { rows } = await this.#db.query<{ key: string }>(
      'select distinct key from forge_events_parked where subscription = $1 and died_at is null and key is not null',
      [name],
    )
    return rows.map(({ key }) => key)
  }

  async besides(name: string, after: Position): Promise<readonly Position[]> {
    const { window, seq } = place(after)
    const { rows } = await this.#db.query<Place>(
      'select no::float8 as window, seq::float8 as seq from forge_events_parked where subscription = $1 and died_at is null and (no, seq) > ($2, $3)',
      [name, window, seq],
    )
    return rows.map(positionOf)
  }

  due(name: string, limit: number): Promise<Due> {
    return dueEvents(this.#db, name, limit)
  }

  async commit({ name, fence }: Held, cursor: Position, work: (tx: Queryable) => Promise<void>): Promise<boolean> {
    const { window, seq } = place(cursor)
    try {
      await this.#db.tx(async (tx) => {
        await work(tx)
        // At the end, so that the lease is prolonged while the work goes on.
        const { rowCount } = await tx.query(
          'update forge_events_subscriptions set no = $3, seq = $4 where name = $1 and fence = $2',
          [name, fence, window, seq],
        )
        if (rowCount === 0) throw eventsErrors.error('events.lease_lost')
      })
      return true
    } catch (error) {
      if (eventsErrors.is(error, 'events.lease_lost')) return false
      throw error
    }
  }

  once<T>(name: string, eventId: string, work: (tx: Tx) => Promise<T>): Promise<T | undefined> {
    return this.#db.tx(async (tx) => {
      const { rowCount } = await tx.query(
        'insert into forge_events_inbox (subscription, event) values ($1, $2) on conflict do nothing',
        [name, eventId],
      )
      return rowCount === 1 ? work(tx) : undefined
    })
  }

  async status(): Promise<readonly SubscriptionStatus[]> {
    await this.head()
    const { rows } = await this.#db.query<
      Place & {
        name: string
        holder: string | null
        seen: number
        lag: number
        lag_ms: number | null
        waiting: number
        dead: number
      }
    >(statusText, [])
    return rows.map(({ name, window, seq, holder, seen, lag, lag_ms, waiting, dead }) => ({
      name,
      cursor: positionOf({ window, seq }),
      lag,
      lagMs: Math.max(0, lag_ms ?? 0),
      waiting,
      dead,
      holder: holder ?? undefined,
      seenAt: new Date(seen),
    }))
  }

  async seek(name: string, cursor: Position): Promise<boolean> {
    const { window, seq } = place(cursor)
    const { rowCount } = await this.#db.query(
      `with moved as (
         update forge_events_subscriptions s set fence = fence + 1, holder = null, until = '-infinity',
           no = greatest($2::bigint, t.floor_no),
           seq = case when ($2::bigint, $3::bigint) < (t.floor_no, t.floor_seq) then t.floor_seq else $3::bigint end
         from forge_events_state t where s.name = $1 returning s.name
       )
       select pg_notify('${channel}', '') from moved`,
      [name, window, seq],
    )
    return rowCount === 1
  }

  listParked(request: ParkedRequest): Promise<readonly ParkedRecord[]> {
    return listParked(this.#db, request)
  }

  redrive(request: RedriveEvents): Promise<number> {
    return redrive(this.#db, request)
  }

  removeDead(filter: ParkedFilter): Promise<number> {
    return removeDead(this.#db, filter)
  }

  async maintain({ retentionMs, deadMs }: MaintainEvents): Promise<MaintainedEvents> {
    const { rows: made } = await this.#db.query<{ names: string[] }>('select forge_events_partitions(7) as names', [])
    // What has committed belongs to a window before its partition can go.
    await this.head()
    const { rows: gone } = await this.#db.query<{ names: string[] }>(
      '/* writes */ select forge_events_drop($1) as names',
      [retentionMs],
    )
    let deadRemoved = 0
    for (let more = true; more;) {
      const { rows } = await this.#db.query<{ dead: number; more: boolean }>(
        '/* writes */ select dead, more from forge_events_sweep($1, $2, $3)',
        [retentionMs, deadMs, sweepPart],
      )
      deadRemoved += rows[0]!.dead
      more = rows[0]!.more
    }
    const { rows: retired } = await this.#db.query<{ name: string }>(
      `select name from forge_events_subscriptions where seen_at <= now() - $1 * interval '1 millisecond' order by name`,
      [retentionMs],
    )
    return {
      partitionsCreated: made[0]!.names,
      partitionsDropped: gone[0]!.names,
      retired: retired.map(({ name }) => name),
      deadRemoved,
    }
  }
}

const readText = `
  select no::float8 as window, seq::float8 as seq, (extract(epoch from at) * 1000)::float8 as at, id, type, version, source,
    subject, key, tenant_id, actor, trace, data
  from forge_events_read($1, $2, $3, $4, $5, $6, $7)`

const statusText = `
  select s.name, s.no::float8 as window, s.seq::float8 as seq, case when s.until > clock_timestamp() then s.holder end as holder,
    (extract(epoch from s.seen_at) * 1000)::float8 as seen, b.lag::float8 as lag,
    (extract(epoch from clock_timestamp() - b.since) * 1000)::float8 as lag_ms, p.waiting::int as waiting, p.dead::int as dead
  from forge_events_subscriptions s
  cross join lateral (
    select least(coalesce(sum(events), 0), 100000) as lag, min(from_at) as since from (
      select w.events, w.from_at from forge_events_windows w
      where w.no >= s.no and (w.no > s.no or w.last_seq > s.seq) and w.events > 0 order by w.no limit 100000
    ) x
  ) b
  cross join lateral (
    select count(*) filter (where died_at is null) as waiting, count(*) filter (where died_at is not null) as dead
    from forge_events_parked k where k.subscription = s.name
  ) p
  order by s.name`

function place(position: Position): Place {
  const found = placeOf(position)
  if (found === undefined) throw eventsErrors.error('events.position_unknown')
  return found
}
