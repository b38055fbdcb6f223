import type { Clock, Timer } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import type { Metrics } from '../../kernel/metrics.ts'
import type { Declarations } from '../../kernel/plugin.ts'
import type { Jobs } from '../jobs/index.ts'
import { createDispatcher } from './dispatcher/create-dispatcher.ts'
import type { Dispatcher } from './dispatcher/settings.ts'
import type { EventsOptions } from './options.ts'
import type { Events } from './outbox.ts'
import type { Subscription } from './subscription.ts'

export interface WorkerParts {
  readonly events: Events
  readonly jobs: Jobs
  readonly options: EventsOptions
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
}

const careEveryMs = 3_600_000
const firstCareMs = 60_000

/** What an app does with its events: delivers them to all that its parts declare, and cares for the log. */
export class Worker {
  readonly #parts: WorkerParts
  #dispatcher: Dispatcher | undefined
  #care: Timer | undefined
  #stopped = false

  constructor(parts: WorkerParts) {
    this.#parts = parts
  }

  /** Of the subscriptions that the app declares. It runs only where the app works. */
  get dispatcher(): Dispatcher {
    if (this.#dispatcher === undefined) throw new Error('the subscriptions are not declared yet')
    return this.#dispatcher
  }

  /** The store does not answer the dispatcher. */
  get failing(): boolean {
    return this.#dispatcher?.status.failing === true
  }

  /** Throws `events.definition_invalid`. */
  declare({ subscriptions }: Declarations): void {
    this.#dispatcher = this.another(subscriptions as readonly Subscription[])
  }

  /** One more on the same log, with the same settings. */
  another(subscriptions: readonly Subscription[] = this.dispatcher.subscriptions): Dispatcher {
    const { events, jobs, options, clock, log, metrics } = this.#parts
    const { leaseMs, graceMs } = options
    return createDispatcher({ events, jobs, subscriptions, clock, log, metrics, options: { leaseMs, graceMs } })
  }

  start(): void {
    if (this.#parts.options.dispatcher === 'off') return
    this.dispatcher.start()
    this.#plan(firstCareMs)
  }

  async drain(signal: AbortSignal): Promise<void> {
    this.#stopped = true
    this.#care?.cancel()
    await this.#dispatcher?.drain(signal)
  }

  async stop(): Promise<void> {
    await this.#dispatcher?.stop()
  }

  /** Somewhere in the second half of the time, so that processes that started together take turns. */
  #plan(ms: number): void {
    if (this.#stopped) return
    this.#care = this.#parts.clock.after(ms * (0.5 + 0.5 * Math.random()), () => void this.#maintain())
  }

  async #maintain(): Promise<void> {
    const { events, options, log } = this.#parts
    try {
      const done = await events.driver.maintain(options)
      if (done.partitionsDropped.length > 0 || done.deadRemoved > 0) log.info({ ...done }, 'old events were removed')
      if (done.retired.length > 0)
        log.warn({ subscriptions: done.retired }, 'subscriptions that nobody has any more keep no events')
      this.#plan(careEveryMs)
    } catch (error) {
      // Most likely somebody was writing events all the time.
      log.warn({ err: error }, 'the log of events could not be cared for; trying again soon')
      this.#plan(firstCareMs)
    }
  }
}
