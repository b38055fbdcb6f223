import type { ClientSettings } from './settings.ts'
import type { RedisDriver, RedisWire, WireUse } from './driver.ts'
import { keepAwake } from './heartbeat.ts'
import { Link } from './link.ts'
import type { OnLost } from './redis.ts'

export interface MessageLinkSettings {
  readonly use: WireUse
  onUp?(wire: RedisWire): Promise<void>
  readonly onLost: OnLost
}

/** A kept connection on which messages come: watched by pings, and its gaps are told. */
export class MessageLink {
  /** Settled when the first attempt has ended. */
  readonly first: Promise<void>
  readonly #link: Link
  readonly #log: ClientSettings['log']
  #closed = false
  #wire: RedisWire | undefined
  #stopPings: (() => void) | undefined

  constructor(driver: RedisDriver, settings: ClientSettings, { use, onUp, onLost }: MessageLinkSettings) {
    const { clock, connectMs, onEvent, deadlineMs } = settings
    this.#log = settings.log
    let attempted = false
    this.#link = new Link({
      driver,
      clock,
      connectMs,
      onEvent,
      use,
      onUp: async (wire) => {
        await onUp?.(wire)
        this.#wire = wire
        this.#stopPings = keepAwake(wire, clock, deadlineMs, (cause) => this.#link.drop(cause))
        if (attempted) this.guard(() => onLost('restored'))
      },
      onDown: () => {
        this.#stopPings?.()
        const wasUp = this.#wire !== undefined
        this.#wire = undefined
        if (wasUp && !this.#closed) this.guard(() => onLost('lost'))
      },
    })
    this.first = this.#link.first.then(() => void (attempted = true))
  }

  get wire(): RedisWire | undefined {
    return this.#wire
  }

  drop(cause: unknown): void {
    this.#link.drop(cause)
  }

  close(): Promise<void> {
    this.#closed = true
    return this.#link.close()
  }

  /** A listener has no say in what becomes of the connection, nor of other listeners. */
  guard(tell: () => void): void {
    try {
      tell()
    } catch (error) {
      this.#log.error({ err: error }, 'a listener of Redis messages failed')
    }
  }
}
