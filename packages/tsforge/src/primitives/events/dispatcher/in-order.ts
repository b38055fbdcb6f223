import type { LoggedEvent, Position } from '../driver.ts'

/** An event on its way through a lane. */
export class Entry {
  readonly event: LoggedEvent
  /** Runs that have failed before. */
  readonly attempt: number
  /** It came from beside the log. */
  readonly parked: boolean
  done = false

  constructor(event: LoggedEvent, attempt: number, parked: boolean) {
    this.event = event
    this.attempt = attempt
    this.parked = parked
  }

  get key(): string | undefined {
    return this.event.partitionkey
  }
}

/** How far a lane has come: events end in any order, and its place moves on when all before it are done. */
export class InOrder {
  #entries: Entry[] = []
  #first = 0
  #cursor: Position
  #read: Position

  constructor(start: Position) {
    this.#cursor = start
    this.#read = start
  }

  /** Read and not passed. */
  get size(): number {
    return this.#entries.length - this.#first
  }

  /** Where reading goes on. */
  get read(): Position {
    return this.#read
  }

  /** Everything up to here is done. */
  get cursor(): Position {
    return this.size === 0 ? this.#read : this.#cursor
  }

  add(event: LoggedEvent): Entry {
    const entry = new Entry(event, 0, false)
    if (this.size === 0) this.#cursor = this.#read
    this.#entries.push(entry)
    this.#read = event.sequence
    return entry
  }

  /** There is nothing more up to here. */
  passed(position: Position): void {
    this.#read = position
  }

  done(entry: Entry): void {
    entry.done = true
    while (this.#first < this.#entries.length && this.#entries[this.#first]!.done)
      this.#cursor = this.#entries[this.#first++]!.event.sequence
    if (this.#first < 256 && this.#first < this.#entries.length) return
    this.#entries = this.#entries.slice(this.#first)
    this.#first = 0
  }

  /** Moves behind the last one that is done, and gives what is not done before that. */
  leave(): readonly Entry[] {
    const entries = this.#entries.slice(this.#first)
    const last = entries.findLastIndex(({ done }) => done)
    const left = entries.slice(0, Math.max(0, last)).filter(({ done }) => !done)
    if (entries.length > 0) {
      if (last >= 0) this.#cursor = entries[last]!.event.sequence
      this.#read = this.#cursor
    }
    this.#entries = []
    this.#first = 0
    return left
  }
}
