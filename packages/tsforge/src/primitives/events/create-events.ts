import { systemClock } from '../../kernel/clock.ts'
import type { Clock } from '../../kernel/clock.ts'
import { silentLog } from '../../kernel/log.ts'
import type { Log } from '../../kernel/log.ts'
import type { Slice } from '../../kernel/page.ts'
import { tell } from '../db/index.ts'
import type { Queryable } from '../db/index.ts'
import { beginning, placeOf, positionOf } from './driver.ts'
import type { EventsDriver, NewEvent, ParkedFilter, ParkedRecord, RedriveEvents, SubscriptionStatus } from './driver.ts'
import { eventsErrors } from './errors.ts'
import type { EventType } from './event.ts'
import { eventsEmitted } from './events.ts'
import { matching } from './match.ts'
import { carry, newEvent, optionInvalid } from './new-event.ts'
import { News } from './news.ts'
import type { EmitOptions, Events, ParkedPage, Position, ReadOptions, ReadResult } from './outbox.ts'

export interface EventsSettings {
  /** `source` of every event. Default `/app`. */
  readonly source?: string
  /** Bytes of JSON that the data of an event may take. Default 256 KiB. */
  readonly dataLimit?: number
  /** How often the log is looked at although nobody has called. Default 1 s. */
  readonly pollMs?: number
  readonly clock?: Clock
  readonly log?: Log
}

/** The facade over a driver: checks, envelopes, watching and facts, once for all drivers. */
export function createEvents(driver: EventsDriver, settings: EventsSettings = {}): Events {
  return new Facade(driver, settings)
}

class Facade implements Events {
  readonly driver: EventsDriver
  readonly #envelope: { readonly source: string; readonly limit: number }
  readonly #news: News

  constructor(
    driver: EventsDriver,
    { source = '/app', dataLimit = 262_144, pollMs = 1000, clock = systemClock, log = silentLog }: EventsSettings,
  ) {
    this.driver = driver
    this.#envelope = { source, limit: dataLimit }
    this.#news = new News({ driver, clock, log, pollMs })
  }

  start(): Promise<void> {
    return this.driver.start()
  }

  close(): Promise<void> {
    return this.#news.close()
  }

  async emit<Data>(
    tx: Queryable,
    type: EventType<Data>,
    data: Data,
    options?: EmitOptions,
  ): Promise<{ readonly id: string }> {
    const carried = carry()
    const checked = type.check(data)
    const value = checked instanceof Promise ? await checked : checked
    const made = newEvent(type, data, value, options, carried, this.#envelope)
    await this.driver.append([made], tx)
    tell(tx, eventsEmitted, { type: type.type, count: 1 })
    return { id: made.id }
  }

  async emitMany<Data>(
    tx: Queryable,
    type: EventType<Data>,
    items: readonly (EmitOptions & { readonly data: Data })[],
  ): Promise<readonly { readonly id: string }[]> {
    const carried = carry()
    const made: NewEvent[] = []
    for (const item of items) {
      const checked = type.check(item.data)
      const value = checked instanceof Promise ? await checked : checked
      made.push(newEvent(type, item.data, value, item, carried, this.#envelope))
    }
    if (made.length === 0) return []
    await this.driver.append(made, tx)
    tell(tx, eventsEmitted, { type: type.type, count: made.length })
    return made.map(({ id }) => ({ id }))
  }

  async read({ after, limit = 100, types, tenantId }: ReadOptions): Promise<ReadResult> {
    return this.driver.read({
      after: after === undefined ? undefined : known(after),
      limit: Math.min(Math.max(1, Math.trunc(limit)), 1000),
      match: types === undefined ? undefined : matching(types),
      tenantId,
    })
  }

  head(): Promise<Position> {
    return this.driver.head()
  }

  watch(listener: () => void): () => void {
    return this.#news.watch(listener)
  }

  subscriptions(): Promise<readonly SubscriptionStatus[]> {
    return this.driver.status()
  }

  async replay(subscription: string, after: Position | undefined): Promise<void> {
    // Whether it is of this log and still kept is the log's to say.
    if (after !== undefined) await this.driver.read({ after: known(after), limit: 1 })
    if (!(await this.driver.seek(subscription, after ?? beginning)))
      throw eventsErrors.error('events.subscription_unknown', { meta: { name: subscription } })
  }

  async parked(filter: ParkedFilter = {}, { limit = 50, after }: ParkedPage = {}): Promise<Slice<ParkedRecord>> {
    const most = Math.min(Math.max(1, Math.trunc(limit)), 1000)
    const [subscription, position] = after ?? []
    const from =
      typeof subscription === 'string' && typeof position === 'string'
        ? ([subscription, known(position)] as const)
        : undefined
    if (after !== undefined && from === undefined) throw optionInvalid('after', 'it is no place in the list')
    const found = await this.driver.listParked({ filter, limit: Math.min(most + 1, 1001), after: from })
    const items = found.slice(0, most)
    const last = items.at(-1)
    return {
      items,
      next: found.length > most && last !== undefined ? [last.subscription, last.event.sequence] : undefined,
      previous: undefined,
      total: undefined,
    }
  }

  async retry(subscription: string, id: string): Promise<void> {
    if ((await this.driver.redrive({ filter: { subscription, id }, limit: 1 })) === 0)
      throw eventsErrors.error('events.unknown')
  }

  async redrive({ filter = {}, limit, perSecond }: Partial<RedriveEvents> = {}): Promise<number> {
    if (perSecond !== undefined && !(perSecond > 0)) throw optionInvalid('perSecond', 'a number above 0')
    if (limit !== undefined && !(Number.isInteger(limit) && limit >= 0)) throw optionInvalid('limit', 'a whole number')
    return this.driver.redrive({ filter, limit, perSecond })
  }

  removeDead(filter: ParkedFilter): Promise<number> {
    return this.driver.removeDead(filter)
  }
}

/** In its own form, so that drivers may compare texts. Throws `events.position_unknown`. */
function known(position: Position): Position {
  const place = placeOf(position)
  if (place === undefined) throw eventsErrors.error('events.position_unknown')
  return positionOf(place)
}
