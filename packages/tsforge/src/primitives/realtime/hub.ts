import { AsyncLocalStorage } from 'node:async_hooks'
import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import { eventsErrors } from '../events/index.ts'
import { Deliveries } from './deliveries.ts'
import type { Delivered } from './deliveries.ts'
import type { EventLog, LoggedEvent, Position } from './driver.ts'
import { Recent } from './recent.ts'
import type { Stream } from './stream.ts'
import type { Topic } from './topic.ts'

export interface HubParts {
  readonly log: Log
  readonly clock: Clock
  /** Where new events are read. */
  readonly source: EventLog
  readonly topics: readonly Topic[]
  readonly recentBytes: number
  /** Told of each event that was told to streams, and to how many. */
  readonly onSent: (topic: Topic, streams: number) => void
  /** The streams have missed events that cannot be read any more. */
  readonly onLost: () => void
}

const readLimit = 500
/** Writes and bytes of one turn of the event loop: others have their requests answered in between, and sockets are flushed. */
const writesPerTurn = 256
const bytesPerTurn = 64 * 1024
const pageLimit = 100
/** Readers who catch up from the store at the same time, so that a crowd does not take all its connections. */
const storeReaders = 4
const restMs: readonly number[] = [50, 100, 250, 500, 1000, 2000]

/**
 * Reads the log once for all streams of this process. A stream that comes back catches up by itself, page by page, and joins
 * when it has reached the hub, in the same turn of the event loop: nothing fits in between, and nothing comes twice.
 */
export class Hub {
  readonly #parts: HubParts
  readonly #deliveries: Deliveries
  readonly #recent: Recent
  readonly #types: readonly string[]
  /** Streams that are up to date, by what they hear of. */
  readonly #index = new Map<string, Set<Stream>>()
  /** Timers and reads belong to nobody's unit of work. */
  readonly #outside = AsyncLocalStorage.snapshot()
  /** Of the event that is being told, or was last. */
  #position: Position | undefined
  /** Everything up to here has been told to all. */
  #settled: Position | undefined
  #begun: Promise<void> | undefined
  #unwatch: (() => void) | undefined
  #wake: (() => void) | undefined
  #woken = false
  #stopped = false
  #running: Promise<void> | undefined
  #reading = 0
  /** Since the last turn of the event loop. */
  #writes = 0
  #bytes = 0
  readonly #readers: (() => void)[] = []

  constructor(parts: HubParts) {
    this.#parts = parts
    this.#deliveries = new Deliveries(parts.topics, parts.log)
    this.#recent = new Recent(parts.recentBytes)
    this.#types = [...new Set(parts.topics.flatMap(({ types }) => types))]
  }

  get settled(): Position | undefined {
    return this.#settled
  }

  /** Begins to read, with the first stream. Rejects when the log cannot be read now. */
  begin(): Promise<void> {
    return (this.#begun ??= this.#outside(() => this.#begin()).catch((error: unknown) => {
      this.#begun = undefined
      throw error
    }))
  }

  async #begin(): Promise<void> {
    const { source } = this.#parts
    const head = await source.head()
    if (this.#stopped) return
    this.#position = this.#settled = head
    this.#recent.begin(head)
    this.#unwatch = source.watch(() => this.#rouse())
    this.#running = this.#run()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#unwatch?.()
    this.#rouse()
    for (const go of this.#readers.splice(0)) go()
    await this.#running
  }

  #rouse(): void {
    this.#woken = true
    this.#wake?.()
  }

  /** One that begins now: it hears of everything that the hub reads from here on. */
  joinNow(stream: Stream): void {
    stream.begin(this.#position!)
    this.#join(stream)
  }

  /** One that has been here before. `first` are the events behind its position, as far as they have been read. */
  async catchUp(stream: Stream, first: Page): Promise<void> {
    for (let page: Page | undefined = first; ; page = undefined) {
      page ??= await this.page(stream)
      for (const event of page.events) {
        if (event.sequence > stream.position) stream.offer(event)
        if (stream.over) return
        await stream.taken()
      }
      if (page.next > stream.position) stream.position = page.next
      if (stream.over) return
      if (stream.position >= this.#position!) return this.#join(stream)
    }
  }

  /** What follows the stream's position: from memory if it can. Fails as `Events.read` does. */
  async page(stream: Stream): Promise<Page> {
    const { position } = stream
    // A position beyond ours comes from a process that is ahead, or from another log: the store knows.
    const recent = position > this.#position! ? undefined : this.#recent.after(position, pageLimit)
    if (recent !== undefined)
      return { events: recent, next: recent.length < pageLimit ? this.#position! : recent.at(-1)!.sequence }
    const { topics, standing } = stream
    const personal = topics.some(({ audience }) => audience === 'user')
    const { tenantId } = standing
    const { events, next } = await this.#outside(() =>
      this.#inTurn(() =>
        this.#parts.source.read({
          after: position,
          limit: pageLimit,
          types: topics.flatMap(({ types }) => types),
          // Events for a user may have no tenant.
          ...(tenantId !== null && !personal && { tenantId }),
        }),
      ),
    )
    return { events: events.map((event) => this.#deliveries.of(event as LoggedEvent<never>)), next }
  }

  async #inTurn<T>(read: () => Promise<T>): Promise<T> {
    if (this.#reading >= storeReaders) await new Promise<void>((go) => this.#readers.push(go))
    else this.#reading++
    try {
      return await read()
    } finally {
      const next = this.#readers.shift()
      if (next === undefined) this.#reading--
      else next()
    }
  }

  #join(stream: Stream): void {
    for (const key of stream.keys) {
      const streams = this.#index.get(key)
      if (streams === undefined) this.#index.set(key, new Set([stream]))
      else streams.add(stream)
    }
  }

  leave(stream: Stream): void {
    for (const key of stream.keys) {
      const streams = this.#index.get(key)
      if (streams?.delete(stream) === true && streams.size === 0) this.#index.delete(key)
    }
  }

  async #run(): Promise<void> {
    let failures = 0
    while (!this.#stopped) {
      this.#woken = false
      try {
        const { events, next, end } = await this.#parts.source.read({
          after: this.#position,
          limit: readLimit,
          types: this.#types,
        })
        for (const event of events) await this.#tell(this.#deliveries.of(event as LoggedEvent<never>))
        if (next > this.#position!) this.#position = next
        this.#settled = this.#position
        if (failures > 0) this.#parts.log.info({}, 'streams get events again')
        failures = 0
        if (end && !this.#woken && !this.#stopped) await new Promise<void>((wake) => (this.#wake = wake))
      } catch (error) {
        if (isLost(error)) await this.#beginAnew(error).catch(() => undefined)
        if (failures === 0) this.#parts.log.warn({ err: error }, 'streams get no events: the log cannot be read')
        await this.#rest(restMs[Math.min(failures++, restMs.length - 1)]!)
      }
    }
  }

  /** Retention has overtaken us: what was between is gone for everybody here. */
  async #beginAnew(error: unknown): Promise<void> {
    const head = await this.#parts.source.head()
    this.#parts.log.error({ err: error, from: this.#position, to: head }, 'streams have lost events and are ended')
    this.#position = this.#settled = head
    this.#recent.begin(head)
    this.#parts.onLost()
  }

  async #tell(event: Delivered): Promise<void> {
    const { sequence } = event
    // Who joins from here on has had it, or is shown it below.
    this.#position = sequence
    this.#recent.push(event)
    let told = 0
    for (const { topic, keys, frame } of event.deliveries) {
      if (frame === null) continue
      const before = told
      for (const key of keys) {
        for (const stream of this.#index.get(key) ?? []) {
          if (stream.position >= sequence) continue
          stream.push(sequence, frame)
          told++
          if (++this.#writes >= writesPerTurn) await this.#turn()
        }
      }
      if (told === before) continue
      this.#parts.onSent(topic, told - before)
      this.#bytes += frame.length
    }
    this.#settled = sequence
    if (this.#bytes >= bytesPerTurn) await this.#turn()
  }

  async #turn(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve))
    this.#writes = 0
    this.#bytes = 0
  }

  async #rest(ms: number): Promise<void> {
    await new Promise<void>((wake) => {
      this.#wake = wake
      this.#parts.clock.after(ms, wake)
    })
  }
}

/** Whether a position leads nowhere any more: it is too old, or of another log. */
export function isLost(error: unknown): boolean {
  return eventsErrors.is(error, 'events.position_expired') || eventsErrors.is(error, 'events.position_unknown')
}

/** Events of a stream, and where to go on. */
export interface Page {
  readonly events: readonly Delivered[]
  readonly next: Position
}
