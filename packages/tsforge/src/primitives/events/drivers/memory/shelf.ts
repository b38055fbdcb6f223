import type { Due, EventFault, LoggedEvent, Park, ParkedRecord, ParkedState, Position, Retried } from '../../driver.ts'

/** An event that waits beside the log. */
export class Parked {
  readonly subscription: string
  readonly event: LoggedEvent
  readonly parkedMs: number
  state: ParkedState
  attempt: number
  dueMs: number | undefined
  diedMs: number | undefined
  error: EventFault | undefined

  constructor(subscription: string, { event, attempt, error, dead }: Park, now: number, dueMs: number | undefined) {
    this.subscription = subscription
    this.event = event
    this.parkedMs = now
    this.attempt = attempt
    this.error = error
    this.state = dead ? 'dead' : 'waiting'
    this.dueMs = dead ? undefined : dueMs
    this.diedMs = dead ? now : undefined
  }

  revive(dueMs: number): void {
    this.state = 'waiting'
    this.attempt = 0
    this.dueMs = dueMs
    this.diedMs = undefined
  }

  die(now: number): void {
    this.state = 'dead'
    this.dueMs = undefined
    this.diedMs = now
  }

  record(): ParkedRecord {
    const { subscription, event, attempt, state, parkedMs, dueMs, diedMs, error } = this
    return {
      subscription,
      event,
      attempt,
      state,
      parkedAt: new Date(parkedMs),
      diedAt: diedMs === undefined ? undefined : new Date(diedMs),
      dueAt: dueMs === undefined ? undefined : new Date(dueMs),
      error,
    }
  }
}

/** What the store knows of one subscription. */
export class Shelf {
  readonly name: string
  cursor: Position
  fence = 0
  holder: string | undefined
  untilMs = 0
  seenMs = 0
  /** Ids of events that were done once, and when. */
  readonly done: Map<string, number> = new Map()
  readonly #parked = new Map<Position, Parked>()

  constructor(name: string, cursor: Position) {
    this.name = name
    this.cursor = cursor
  }

  hold(holder: string, untilMs: number): void {
    this.fence++
    this.holder = holder
    this.untilMs = untilMs
  }

  free(): void {
    this.holder = undefined
    this.untilMs = 0
  }

  /** In the order of the log. */
  all(): readonly Parked[] {
    return [...this.#parked.values()].sort((a, b) => (a.event.sequence < b.event.sequence ? -1 : 1))
  }

  /** Positions behind `after` of what waits. */
  behind(after: Position): readonly Position[] {
    return this.all().flatMap(({ state, event }) =>
      state !== 'dead' && event.sequence > after ? [event.sequence] : [],
    )
  }

  records(): readonly ParkedRecord[] {
    return this.all().map((each) => each.record())
  }

  keys(): readonly string[] {
    return [...new Set(this.#waiting().flatMap(({ event }) => event.partitionkey ?? []))]
  }

  park(parks: readonly Park[], now: number): void {
    for (const each of parks) {
      const { partitionkey } = each.event
      const behind = each.attempt === 0 && partitionkey !== undefined && this.keys().includes(partitionkey)
      const due = each.attempt === 0 ? (behind ? undefined : now) : now + each.delayMs
      this.#parked.set(each.event.sequence, new Parked(this.name, each, now, due))
    }
  }

  /** Gives the keys for which nothing waits any more. */
  retried(retried: readonly Retried[], now: number): readonly string[] {
    const keys = new Set<string>()
    for (const { position, as, delayMs, error } of retried) {
      const parked = this.#parked.get(position)
      if (parked === undefined) continue
      parked.attempt++
      parked.error = error ?? parked.error
      if (as === 'failed') parked.dueMs = now + delayMs
      else if (as === 'dead') parked.die(now)
      else this.remove(parked)
      const { partitionkey } = parked.event
      if (as !== 'failed' && partitionkey !== undefined) keys.add(partitionkey)
    }
    return [...keys].filter((key) => {
      const [first, ...rest] = this.#waiting().filter(({ event }) => event.partitionkey === key)
      if (first !== undefined && [first, ...rest].every(({ dueMs }) => dueMs === undefined)) first.dueMs = now
      return first === undefined
    })
  }

  due(now: number, limit: number): Due {
    const waiting = this.#waiting()
    const timed = waiting.filter((each) => each.dueMs !== undefined).sort((a, b) => a.dueMs! - b.dueMs!)
    const due = timed.filter((each) => each.dueMs! <= now)
    const later = timed.find((each) => each.dueMs! > now)
    return {
      events: due.slice(0, limit).map(({ event, attempt }) => ({ event, attempt })),
      waiting: waiting.length,
      nextMs: due.length > limit ? 0 : later === undefined ? undefined : later.dueMs! - now,
    }
  }

  remove({ event }: Parked): void {
    this.#parked.delete(event.sequence)
  }

  /** Forgets what was done before one moment and what died before another; gives how many had died. */
  sweep(doneMs: number, diedMs: number): number {
    const dead = this.all().filter((each) => each.state === 'dead' && each.diedMs! < diedMs)
    for (const each of dead) this.remove(each)
    const kept = new Set(this.all().map(({ event }) => event.id))
    for (const [id, atMs] of this.done) if (atMs < doneMs && !kept.has(id)) this.done.delete(id)
    return dead.length
  }

  #waiting(): Parked[] {
    return this.all().filter(({ state }) => state === 'waiting')
  }
}
