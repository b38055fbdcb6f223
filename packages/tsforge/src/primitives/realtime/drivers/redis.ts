import type { Clock, Timer } from '../../../kernel/clock.ts'
import type { Log } from '../../../kernel/log.ts'
import type { Redis, Reply } from '../../redis/index.ts'
import { matching, placeOf } from '../driver.ts'
import type { EventLog, LoggedEvent, ReadOptions, ReadResult, RealtimeDriver } from '../driver.ts'
import { Copier } from './redis/copier.ts'
import { idOf, namesOf } from './redis/names.ts'
import type { Names } from './redis/names.ts'

export interface RedisRealtimeOptions {
  /** The log: copied by one process, and asked by all for what the copy does not have. */
  readonly events: EventLog
  readonly clock: Clock
  readonly log: Log
  /** Events that the copy holds. Default 10,000. */
  readonly length?: number
  /** Before every key, for apps that share a server. Default none. */
  readonly keyPrefix?: string
}

/** How often the log is asked although nothing was told: the newest entries may have been lost with a server. */
const lookMs = 5000

/**
 * The log as a Redis stream, for many processes: one of them copies, all are told by a message and read from Redis. Whatever
 * becomes of Redis, nothing is skipped: where entries do not follow each other, the log has the word.
 */
export function redis(connection: Redis, options: RedisRealtimeOptions): RealtimeDriver {
  return new RedisRealtimeDriver(connection, options)
}

class RedisRealtimeDriver implements RealtimeDriver {
  readonly name = 'redis'
  readonly #redis: Redis
  readonly #options: RedisRealtimeOptions
  readonly #names: Names
  readonly #copier: Copier
  readonly #listeners = new Set<() => void>()
  #timer: Timer | undefined
  #unsubscribe: (() => Promise<void>) | undefined
  /** While messages may be missed. */
  #unwatch: (() => void) | undefined

  constructor(connection: Redis, options: RedisRealtimeOptions) {
    const { events, clock, log, length = 10_000, keyPrefix = '' } = options
    this.#redis = connection
    this.#options = options
    this.#names = namesOf(keyPrefix)
    this.#copier = new Copier({ redis: connection, names: this.#names, events, clock, log, length })
  }

  async start(): Promise<void> {
    const { clock, events } = this.#options
    this.#copier.start()
    this.#timer = clock.every(lookMs, () => this.#tell())
    this.#unsubscribe = await this.#redis.subscribe(
      this.#names.channel,
      () => this.#tell(),
      (state) => {
        this.#unwatch?.()
        this.#unwatch = state === 'lost' ? events.watch(() => this.#tell()) : undefined
        this.#tell()
      },
    )
  }

  async close(): Promise<void> {
    this.#timer?.cancel()
    await this.#unsubscribe?.()
    this.#unwatch?.()
    await this.#copier.stop()
  }

  head(): ReturnType<EventLog['head']> {
    return this.#options.events.head()
  }

  watch(listener: () => void): () => void {
    const own = (): void => listener()
    this.#listeners.add(own)
    return () => void this.#listeners.delete(own)
  }

  async read(options: ReadOptions): Promise<ReadResult> {
    return (await this.#copied(options)) ?? this.#options.events.read(options)
  }

  /** From the copy; `undefined` when it does not have what follows, or may not. */
  async #copied({ after, limit = 100, types, tenantId }: ReadOptions): Promise<ReadResult | undefined> {
    // What is no position is for the log to refuse.
    if (after === undefined || placeOf(after) === undefined) return undefined
    const reply = await this.#redis
      .command(['XRANGE', this.#names.stream, `(${idOf(after)}`, '+', 'COUNT', String(limit)])
      .catch(() => [])
    const source = types === undefined ? undefined : matching(types)
    const wanted = source === undefined ? undefined : new RegExp(source)
    const events: LoggedEvent[] = []
    let next = after
    let read = 0
    for (const [, [, before, , json]] of reply as [string, string[]][]) {
      // Something lies between: it has fallen out, or was lost.
      if (before! > next) break
      const event = JSON.parse(json!) as LoggedEvent
      read++
      next = event.sequence
      if (wanted?.test(event.type) !== false && (tenantId === undefined || event.tenantid === tenantId))
        events.push(event)
    }
    return read === 0 ? undefined : { events, next, end: read === (reply as Reply[]).length && read < limit }
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener()
  }
}
