import type { Log } from '../../kernel/log.ts'
import type { LoggedEvent, Position } from './driver.ts'
import { eventFrame } from './frames.ts'
import type { Topic } from './topic.ts'

/** The place in the index of those who work in a tenant, or of a user there (or anywhere: `null`). */
export function tenantKey(topic: Topic, tenantId: string): string {
  return `${topic.name}\n${tenantId}`
}

export function userKey(topic: Topic, tenantId: string | null, userId: string): string {
  return `${topic.name}\n${tenantId ?? ''}\n${userId}`
}

/** An event of one topic: for whom, and the bytes that all of them get. */
export class Delivery {
  readonly topic: Topic
  /** Of those who get it. */
  readonly keys: readonly string[]
  readonly #event: LoggedEvent<never>
  readonly #log: Log
  #frame: Buffer | null | undefined

  constructor(topic: Topic, keys: readonly string[], event: LoggedEvent<never>, log: Log) {
    this.topic = topic
    this.keys = keys
    this.#event = event
    this.#log = log
  }

  /** Made once, for whoever asks first; `null` when the topic has nothing to say of the event. */
  get frame(): Buffer | null {
    if (this.#frame !== undefined) return this.#frame
    const { id, type, sequence } = this.#event
    try {
      const data = this.topic.data === undefined ? this.#event : this.topic.data(this.#event)
      const json = data === undefined ? undefined : JSON.stringify(data)
      return (this.#frame = json === undefined ? null : eventFrame(sequence, type, json))
    } catch (error) {
      // It would fail for everybody and every time: the stream goes on without.
      this.#log.error({ err: error, topic: this.topic.name, event: id }, 'a topic cannot tell of an event')
      return (this.#frame = null)
    }
  }
}

/** An event as streams get it. */
export interface Delivered {
  readonly sequence: Position
  /** In the order of the app's topics: a stream that several are for gets the first. */
  readonly deliveries: readonly Delivery[]
}

/** Turns events into what streams get. Kinds that no topic tells of cost one look-up. */
export class Deliveries {
  readonly #topics: readonly Topic[]
  readonly #log: Log
  readonly #byType = new Map<string, readonly Topic[]>()

  constructor(topics: readonly Topic[], log: Log) {
    this.#topics = topics
    this.#log = log
  }

  of(event: LoggedEvent<never>): Delivered {
    const deliveries: Delivery[] = []
    for (const topic of this.#topicsOf(event.type)) {
      const keys = this.#keysOf(topic, event)
      if (keys.length > 0) deliveries.push(new Delivery(topic, keys, event, this.#log))
    }
    return { sequence: event.sequence, deliveries }
  }

  #topicsOf(type: string): readonly Topic[] {
    let topics = this.#byType.get(type)
    if (topics === undefined) this.#byType.set(type, (topics = this.#topics.filter((topic) => topic.matches(type))))
    return topics
  }

  #keysOf(topic: Topic, event: LoggedEvent<never>): readonly string[] {
    const { tenantid } = event
    if (topic.audience === 'tenant') return tenantid === undefined ? [] : [tenantKey(topic, tenantid)]
    try {
      const named = topic.user === undefined ? event.subject : topic.user(event)
      const users = named === undefined ? [] : typeof named === 'string' ? [named] : named
      return users.map((userId) => userKey(topic, tenantid ?? null, userId))
    } catch (error) {
      this.#log.error({ err: error, topic: topic.name, event: event.id }, 'a topic cannot tell whom an event is for')
      return []
    }
  }
}
