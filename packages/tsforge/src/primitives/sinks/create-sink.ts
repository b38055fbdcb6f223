import { systemClock } from '../../kernel/clock.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Counter, Histogram, Metrics } from '../../kernel/metrics.ts'
import type { LoggedEvent, Sink } from '../events/index.ts'
import { Delivery } from './delivery.ts'
import type { SinkDriver } from './driver.ts'
import { SinkError, refuseOption, sinkErrors } from './errors.ts'
import { failureChannel } from './events.ts'
import { encode } from './message.ts'
import type { Encoding, SinkAddress, SinkMode } from './message.ts'

export interface SinkOptions {
  /** In metrics and failures. Default: the name of the driver. */
  readonly name?: string
  /** Subject, routing key, topic or stream: a fixed one, or made from the event. Default: the type of the event. */
  readonly to?: SinkAddress
  /** Default `structured`. */
  readonly mode?: SinkMode
  /** Longest wait for the confirmations of a batch, connecting included. Default 10 s. */
  readonly deadlineMs?: number
  readonly clock?: Clock
  readonly metrics?: Metrics
}

/**
 * A sink over a driver: events leave the app as CloudEvents, those of one key (`partitionkey`) in their order, and count as
 * delivered when the broker has confirmed them. `publish` rejects with a `SinkError` whose `unconfirmed` names the events to
 * send again: `sinks.unavailable` when the broker is away, `sinks.unconfirmed` when it refused some or did not answer in time.
 */
export function createSink(driver: SinkDriver, options: SinkOptions = {}): Sink {
  const { deadlineMs = 10_000 } = options
  if (!(deadlineMs > 0)) refuseOption('deadlineMs', 'must be more than 0')
  return new DrivenSink(driver, { ...options, deadlineMs })
}

class DrivenSink implements Sink {
  readonly name: string
  readonly #driver: SinkDriver
  readonly #encoding: Encoding
  readonly #deadlineMs: number
  readonly #clock: Clock
  readonly #events: Counter | undefined
  readonly #seconds: Histogram | undefined
  #closed: Promise<void> | undefined

  constructor(driver: SinkDriver, options: SinkOptions & { readonly deadlineMs: number }) {
    const { name = driver.name, to = ({ type }) => type, mode = 'structured', deadlineMs, metrics } = options
    this.name = name
    this.#driver = driver
    this.#encoding = { mode, to }
    this.#deadlineMs = deadlineMs
    this.#clock = options.clock ?? systemClock
    this.#events = metrics?.counter('forge_sinks_events_total', {
      help: 'Events sent to brokers.',
      labelNames: ['sink', 'result'],
    })
    this.#seconds = metrics?.histogram('forge_sinks_publish_seconds', {
      help: 'From sending a batch to its last confirmation, or to giving up.',
      labelNames: ['sink'],
    })
  }

  async publish(events: readonly LoggedEvent[], signal: AbortSignal): Promise<void> {
    if (events.length === 0) return
    const began = this.#clock.monotonic()
    const delivery = new Delivery(events)
    await this.#deliver(delivery, signal)
    const { confirmed } = delivery
    const error = delivery.end()
    const sink = this.name
    this.#seconds?.observe((this.#clock.monotonic() - began) / 1000, { sink })
    if (confirmed > 0) this.#events?.add(confirmed, { sink, result: 'confirmed' })
    if (error === undefined) return
    const unconfirmed = error.unconfirmed.length
    this.#events?.add(unconfirmed, { sink, result: 'unconfirmed' })
    if (failureChannel.hasSubscribers) failureChannel.publish({ sink, confirmed, unconfirmed, error })
    throw error
  }

  /** Resolves when all is sent, the time is up, or the caller has gone: whatever the client does. */
  async #deliver(delivery: Delivery, signal: AbortSignal): Promise<void> {
    const gone = (cause: unknown): Error => sinkErrors.error('sinks.unavailable', { cause })
    if (this.#closed !== undefined) return delivery.fail(gone(new Error('the sink is closed')))
    if (signal.aborted) return delivery.fail(gone(signal.reason))
    const cut = new AbortController()
    await new Promise<void>((done) => {
      const stop = (cause: unknown): void => {
        delivery.fail(gone(cause))
        cut.abort(cause)
        done()
      }
      const timer = this.#clock.after(this.#deadlineMs, () => stop(new Error(`no answer in ${this.#deadlineMs} ms`)))
      const leave = (): void => stop(signal.reason)
      signal.addEventListener('abort', leave, { once: true })
      const settled = (): void => {
        timer.cancel()
        signal.removeEventListener('abort', leave)
        done()
      }
      delivery
        .run(this.#driver, (event) => encode(event, this.#encoding), cut.signal)
        .then(settled, (fault: unknown) => {
          delivery.fail(gone(fault))
          settled()
        })
    })
  }

  /** Waits for the driver no longer than the deadline: a broker that hangs holds up no shutdown. */
  close(): Promise<void> {
    return (this.#closed ??= new Promise((done) => {
      const timer = this.#clock.after(this.#deadlineMs, done)
      const end = (): void => {
        timer.cancel()
        done()
      }
      this.#driver.close().then(end, end)
    }))
  }
}

/** Whether `error` came from `publish` of a sink. */
export function isSinkError(error: unknown): error is SinkError {
  return error instanceof SinkError
}
