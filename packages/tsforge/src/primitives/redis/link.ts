import type { Clock } from '../../kernel/clock.ts'
import { backoffMs, withTimeout } from '../../kernel/resilience/index.ts'
import type { RedisDriver, RedisWire, WireUse } from './driver.ts'
import { redisConnectionChannel } from './events.ts'
import type { RedisConnectionEvent } from './events.ts'

export interface LinkSettings {
  readonly driver: RedisDriver
  readonly clock: Clock
  readonly use: WireUse
  /** For one attempt, handshake included. */
  readonly connectMs: number
  /** A connection is there. When it rejects, the connection is dropped again. */
  onUp(wire: RedisWire): void | Promise<void>
  /** There is no connection (any more). */
  onDown(): void
  onEvent(event: RedisConnectionEvent): void
}

const backoff = { baseMs: 50, capMs: 1000 } as const

/** Keeps one connection: opens it, and opens another one whenever it is lost, for ever, with growing pauses and jitter. */
export class Link {
  /** Settled when the first attempt has ended, whatever its end. */
  readonly first: Promise<void>
  readonly #settings: LinkSettings
  readonly #closing = new AbortController()
  readonly #kept: Promise<void>
  #drop: ((cause: unknown) => void) | undefined
  #lastFailure: unknown

  constructor(settings: LinkSettings) {
    this.#settings = settings
    const { promise, resolve } = Promise.withResolvers<void>()
    this.first = promise
    this.#kept = this.#keep(resolve)
  }

  /** Why there is no connection, as far as known. */
  get lastFailure(): unknown {
    return this.#lastFailure
  }

  /** Gives the present connection up: it has been cut by its user. */
  drop(cause: unknown): void {
    this.#drop?.(cause)
  }

  async close(): Promise<void> {
    this.#closing.abort()
    this.#drop?.(undefined)
    await this.#kept
  }

  async #keep(triedOnce: () => void): Promise<void> {
    const { clock } = this.#settings
    const { signal } = this.#closing
    let failures = 0
    for (let attempt = 0; !signal.aborted; attempt++) {
      let began = clock.monotonic()
      try {
        await this.#settings.driver.load?.()
        began = clock.monotonic()
        const { ended } = await this.#open(attempt)
        triedOnce()
        this.#tell('ready')
        this.#lastFailure = await ended
        if (!signal.aborted) this.#tell('lost', this.#lastFailure)
      } catch (error) {
        this.#lastFailure = error
        if (!signal.aborted) this.#tell('failed', error)
      }
      triedOnce()
      // One that lasted was well; one that is lost right away must not be opened in a tight loop.
      failures = clock.monotonic() - began > 2 * backoff.capMs + this.#settings.connectMs ? 0 : failures + 1
      await clock.sleep(backoffMs(failures, backoff), signal).catch(() => undefined)
    }
  }

  /** `ended` resolves with the reason when the connection is gone. */
  async #open(attempt: number): Promise<{ readonly ended: Promise<unknown> }> {
    const { driver, clock, use, connectMs, onUp, onDown } = this.#settings
    const { promise, resolve } = Promise.withResolvers<unknown>()
    let wire: RedisWire | undefined
    const open = async (signal: AbortSignal): Promise<RedisWire> => {
      wire = await driver.open({ use, attempt, signal, onEnd: resolve })
      // Nobody waits any more for what was opened too late.
      if (signal.aborted) wire.destroy()
      signal.throwIfAborted()
      await onUp(wire)
      return wire
    }
    const down = (): void => {
      wire?.destroy()
      onDown()
    }
    try {
      await withTimeout(open, { clock, ms: connectMs, signal: this.#closing.signal })
    } catch (error) {
      down()
      throw error
    }
    this.#drop = resolve
    const ended = promise.then((cause) => {
      this.#drop = undefined
      down()
      return cause
    })
    return { ended }
  }

  #tell(kind: RedisConnectionEvent['kind'], cause?: unknown): void {
    const event: RedisConnectionEvent = { kind, use: this.#settings.use.kind, cause }
    this.#settings.onEvent(event)
    if (redisConnectionChannel.hasSubscribers) redisConnectionChannel.publish(event)
  }
}
