import { systemClock } from '../../kernel/clock.ts'
import type { Clock, Timer } from '../../kernel/clock.ts'
import { contextErrors } from '../../kernel/context.ts'
import { silentLog } from '../../kernel/log.ts'
import type { Log } from '../../kernel/log.ts'
import { createMetrics } from '../../kernel/metrics.ts'
import type { Metrics } from '../../kernel/metrics.ts'
import type { Db } from '../db/index.ts'
import { placeOf } from '../events/index.ts'
import type { RealtimeDriver } from './driver.ts'
import { realtimeErrors } from './errors.ts'
import { streamClosed, streamOpened } from './events.ts'
import type { CloseReason } from './events.ts'
import { beatFrame, plainBeat } from './frames.ts'
import { Hub, isLost } from './hub.ts'
import type { Page } from './hub.ts'
import type { RealtimeOptions } from './options.ts'
import { Places } from './places.ts'
import type { Realtime, StreamRequest } from './realtime.ts'
import { Rechecks } from './rechecks.ts'
import { Stream } from './stream.ts'
import type { Standing } from './stream.ts'
import { Tickets } from './tickets.ts'
import type { Topic } from './topic.ts'

export interface RealtimeSettings {
  /** For tickets. */
  readonly db: Db
  /** Further ones may come with `declare`. */
  readonly topics?: readonly Topic[]
  readonly options: Omit<RealtimeOptions, 'driver' | 'redisLength'>
  readonly clock?: Clock
  readonly log?: Log
  readonly metrics?: Metrics
}

/** The service with what only its plugin needs. */
export interface RunningRealtime extends Realtime {
  /** Adds topics, before the first stream. Throws `realtime.topic_malformed` when a name is taken. */
  declare(topics: readonly Topic[]): void
  /** Ends all streams, and takes no new ones. */
  drain(): void
  close(): Promise<void>
}

/** Parts of a heartbeat in which the streams have their turns; the standing of each is asked about at every fourth. */
const beatParts = 60
const recheckParts = 4

/** Streams over a log of events. Reads nothing before the first of them; the driver is closed by whoever made it. */
export function createRealtime(driver: RealtimeDriver, settings: RealtimeSettings): RunningRealtime {
  return new StreamingRealtime(driver, settings)
}

class StreamingRealtime implements RunningRealtime {
  #topics: readonly Topic[] = []
  readonly #settings: RealtimeSettings
  readonly #driver: RealtimeDriver
  readonly #clock: Clock
  readonly #log: Log
  #hub: Hub
  readonly #places: Places
  readonly #tickets: Tickets
  readonly #rechecks: Rechecks
  readonly #open = new Set<Stream>()
  readonly #releases = new WeakMap<Stream, () => void>()
  readonly #counted: {
    readonly sent: (topic: Topic, streams: number) => void
    readonly closed: (reason: CloseReason) => void
    readonly resumed: (outcome: 'continued' | 'reset') => void
  }
  #timer: Timer | undefined
  #turn = 0
  #draining = false

  constructor(driver: RealtimeDriver, settings: RealtimeSettings) {
    const { topics = [], options, db, clock = systemClock, log = silentLog, metrics = createMetrics() } = settings
    this.#settings = settings
    this.#driver = driver
    this.#clock = clock
    this.#log = log
    this.#places = new Places(options)
    this.#tickets = new Tickets({ db, clock, ttlMs: options.ticketTtlMs })
    this.#rechecks = new Rechecks(clock)
    const sent = metrics.counter('forge_realtime_events_total', {
      help: 'Events written to streams',
      labelNames: ['topic'],
    })
    const closed = metrics.counter('forge_realtime_closed_total', {
      help: 'Streams that ended',
      labelNames: ['reason'],
    })
    const resumed = metrics.counter('forge_realtime_resumed_total', {
      help: 'Streams that came back with the id of an event, by what became of it',
      labelNames: ['outcome'],
    })
    this.#counted = {
      sent: (topic, streams) => sent.add(streams, { topic: topic.name }),
      closed: (reason) => closed.add(1, { reason }),
      resumed: (outcome) => resumed.add(1, { outcome }),
    }
    metrics.gauge('forge_realtime_rechecks', {
      help: 'Questions under way whether the caller of a stream is still welcome',
      collect: () => this.#rechecks.asking,
    })
    metrics.gauge('forge_realtime_streams', { help: 'Open streams', collect: () => this.streams })
    this.#hub = this.#makeHub()
    this.declare(topics)
  }

  get topics(): readonly Topic[] {
    return this.#topics
  }

  declare(topics: readonly Topic[]): void {
    const all = [...this.#topics, ...topics]
    const twice = all.find(({ name }, at) => all.findIndex((each) => each.name === name) !== at)
    if (twice !== undefined)
      throw realtimeErrors.error('realtime.topic_malformed', {
        meta: { topic: twice.name, reason: 'another one has its name' },
      })
    this.#topics = all
    this.#hub = this.#makeHub()
  }

  #makeHub(): Hub {
    return new Hub({
      source: this.#driver,
      log: this.#log,
      clock: this.#clock,
      topics: this.#topics,
      recentBytes: this.#settings.options.recentBytes,
      onSent: this.#counted.sent,
      onLost: () => this.#endAll('failed'),
    })
  }

  get streams(): number {
    return this.#places.taken
  }

  async open({ standing, topics: names, lastEventId }: StreamRequest): Promise<Stream> {
    this.#refuseDraining()
    // A ticket does not know what has become of its session.
    await standing.check()
    const topics = await this.#admitted(standing, names)
    const resume = lastEventId === undefined || lastEventId === '' ? undefined : lastEventId
    if (resume !== undefined && placeOf(resume) === undefined) throw realtimeErrors.error('realtime.position_malformed')
    const release = this.#places.take(standing.actor, standing.tenantId)
    try {
      await this.#hub.begin()
      const stream =
        resume === undefined
          ? this.#stream(standing, topics, undefined, undefined)
          : await this.#resume(standing, topics, resume)
      // The last one to say no: nothing comes between it and the end of all.
      this.#refuseDraining()
      this.#releases.set(stream, release)
      return stream
    } catch (error) {
      release()
      throw error
    }
  }

  /** Looks for what follows before the caller is told that he is welcome. */
  async #resume(standing: Standing, topics: readonly Topic[], resume: string): Promise<Stream> {
    const stream = this.#stream(standing, topics, resume, undefined)
    try {
      this.#first.set(stream, await this.#hub.page(stream))
      this.#counted.resumed('continued')
      return stream
    } catch (error) {
      if (!isLost(error)) throw error
      this.#counted.resumed('reset')
      return this.#stream(standing, topics, undefined, 'position_lost')
    }
  }

  readonly #first = new WeakMap<Stream, Page>()

  #stream(standing: Standing, topics: readonly Topic[], resume: string | undefined, reset: string | undefined): Stream {
    return new Stream({
      clock: this.#clock,
      limits: this.#settings.options,
      standing,
      topics,
      resume,
      reset,
      onOpen: (stream) => this.#opened(stream),
      onClose: (stream, reason) => this.#closed(stream, reason),
    })
  }

  #opened(stream: Stream): void {
    this.#open.add(stream)
    this.#timer ??= this.#clock.every(this.#settings.options.heartbeatMs / beatParts, () => this.#tick())
    const first = this.#first.get(stream)
    if (first === undefined) this.#hub.joinNow(stream)
    else {
      this.#first.delete(stream)
      stream.begin(stream.position)
      this.#hub.catchUp(stream, first).catch((error: unknown) => {
        if (!isLost(error)) this.#log.warn({ err: error }, 'a stream cannot catch up')
        stream.close('failed')
      })
    }
    if (!streamOpened.hasSubscribers) return
    const { actor, tenantId } = stream.standing
    const topics = stream.topics.map(({ name }) => name)
    streamOpened.publish({ userId: actor.id, tenantId, topics, resumed: stream.resumed })
  }

  #closed(stream: Stream, reason: CloseReason): void {
    this.#releases.get(stream)?.()
    this.#hub.leave(stream)
    this.#counted.closed(reason)
    if (!this.#open.delete(stream)) return
    if (this.#open.size === 0) {
      this.#timer?.cancel()
      this.#timer = undefined
    }
    if (!streamClosed.hasSubscribers) return
    const { actor, tenantId } = stream.standing
    const durationMs = this.#clock.monotonic() - stream.openedAt
    streamClosed.publish({ userId: actor.id, tenantId, reason, durationMs, events: stream.sent })
  }

  #tick(): void {
    const turn = this.#turn++
    const { settled } = this.#hub
    const shared = settled === undefined ? plainBeat : beatFrame(settled)
    for (const stream of this.#open) {
      if ((turn + stream.phase) % recheckParts === 0) this.#rechecks.ask(stream)
      if ((turn + stream.phase) % beatParts === 0) stream.beat(settled, shared)
    }
  }

  /** All of `names`, or the reason why one cannot be had. */
  async #admitted(standing: Standing, names: readonly string[]): Promise<readonly Topic[]> {
    const topics = [...new Set(names)].map((name) => {
      const topic = this.#topics.find((each) => each.name === name)
      if (topic === undefined) throw realtimeErrors.error('realtime.topic_unknown', { meta: { topic: name } })
      return topic
    })
    for (const { name, audience, permission } of topics) {
      if (audience === 'tenant' && standing.tenantId === null) throw contextErrors.error('tenant.required')
      if (permission !== undefined && !(await standing.can(permission)))
        throw realtimeErrors.error('realtime.topic_denied', { meta: { topic: name, permission } })
    }
    return topics
  }

  issueTicket(...[actor, tenantId]: Parameters<Realtime['issueTicket']>): ReturnType<Realtime['issueTicket']> {
    return this.#tickets.issue(actor, tenantId)
  }

  redeemTicket(ticket: string): ReturnType<Realtime['redeemTicket']> {
    return this.#tickets.redeem(ticket)
  }

  #refuseDraining(): void {
    if (this.#draining) throw realtimeErrors.error('realtime.draining', { retryAfterMs: 1000 })
  }

  #endAll(reason: CloseReason): void {
    for (const stream of [...this.#open]) stream.close(reason)
  }

  drain(): void {
    this.#draining = true
    this.#endAll('drain')
  }

  async close(): Promise<void> {
    this.drain()
    await this.#hub.stop()
  }
}
