import type { LoggedEvent } from '../events/index.ts'
import type { Outcome, SinkDriver, SinkMessage } from './driver.ts'
import { SinkError, asError, sinkErrors, unreachable } from './errors.ts'

interface Sent {
  readonly event: LoggedEvent
  readonly message: SinkMessage
}

/** What becomes of one batch. What is learned after `end` counts no more. */
export class Delivery {
  readonly #events: readonly LoggedEvent[]
  readonly #confirmed = new Set<LoggedEvent>()
  readonly #refused = new Set<LoggedEvent>()
  #faults: Error[] = []
  #ended = false

  constructor(events: readonly LoggedEvent[]) {
    this.#events = events
  }

  get confirmed(): number {
    return this.#confirmed.size
  }

  /** Sends all, those of one key in their order: behind one that is not confirmed none of its key is sent. */
  async run(driver: SinkDriver, encode: (event: LoggedEvent) => SinkMessage, signal: AbortSignal): Promise<void> {
    const lanes = this.#lanes(encode)
    if (driver.capabilities.atomicPerKey) return this.#send(driver, this.#inOrder(lanes), signal)
    await Promise.all(lanes.map((lane) => this.#walk(driver, lane, signal)))
  }

  /** What remains unconfirmed, or nothing. */
  end(): SinkError | undefined {
    this.#ended = true
    const unconfirmed = this.#events.filter((event) => !this.#confirmed.has(event)).map(({ id }) => id)
    const refused = this.#events.filter((event) => this.#refused.has(event)).map(({ id }) => id)
    if (unconfirmed.length === 0) return undefined
    const [first] = this.#faults
    const away = this.#confirmed.size === 0 && this.#faults.every((fault) => sinkErrors.is(fault, 'sinks.unavailable'))
    // An outcome that only says "away" hides what the client said.
    const cause = first !== undefined && sinkErrors.is(first, 'sinks.unavailable') ? first.cause : first
    return new SinkError(away ? 'sinks.unavailable' : 'sinks.unconfirmed', { unconfirmed, refused }, { cause })
  }

  /** Without a fault of its own, e.g. because time is up. */
  fail(fault: Error): void {
    if (!this.#ended) this.#faults.push(fault)
  }

  /** One lane for each key, one for each event without. An event that cannot be encoded ends its lane. */
  #lanes(encode: (event: LoggedEvent) => SinkMessage): readonly (readonly Sent[])[] {
    const lanes = new Map<unknown, Sent[]>()
    const stuck = new Set<string>()
    for (const event of this.#events) {
      const key = event.partitionkey
      if (key !== undefined && stuck.has(key)) continue
      try {
        const sent = { event, message: encode(event) }
        const lane = lanes.get(key ?? event)
        if (lane === undefined) lanes.set(key ?? event, [sent])
        else lane.push(sent)
      } catch (fault) {
        if (key !== undefined) stuck.add(key)
        this.#refused.add(event)
        this.fail(asError(fault))
      }
    }
    return [...lanes.values()]
  }

  #inOrder(lanes: readonly (readonly Sent[])[]): readonly Sent[] {
    const sendable = new Map(lanes.flat().map((sent) => [sent.event, sent]))
    return this.#events.flatMap((event) => sendable.get(event) ?? [])
  }

  async #walk(driver: SinkDriver, lane: readonly Sent[], signal: AbortSignal): Promise<void> {
    for (const sent of lane) {
      if (signal.aborted) return
      await this.#send(driver, [sent], signal)
      if (!this.#confirmed.has(sent.event)) return
    }
  }

  async #send(driver: SinkDriver, batch: readonly Sent[], signal: AbortSignal): Promise<void> {
    if (batch.length === 0) return
    let outcomes: readonly Outcome[]
    try {
      const messages = batch.map(({ message }) => message)
      outcomes = await driver.send(messages, signal)
    } catch (fault) {
      outcomes = Array.from(batch, () => unreachable(fault))
    }
    if (this.#ended) return
    batch.forEach(({ event }, at) => {
      const outcome = outcomes[at]
      if (outcome === 'confirmed') this.#confirmed.add(event)
      else {
        const fault = asError(outcome)
        this.#faults.push(fault)
        if (!sinkErrors.is(fault, 'sinks.unavailable')) this.#refused.add(event)
      }
    })
  }
}
