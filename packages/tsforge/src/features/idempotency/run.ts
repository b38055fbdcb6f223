import type { Clock, Timer } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import type { Answer } from './answer.ts'
import type { IdempotencyDriver } from './driver.ts'

export interface RunSettings {
  readonly id: string
  readonly token: string
  readonly leaseMs: number
  readonly driver: IdempotencyDriver
  readonly clock: Clock
  readonly log: Log
  /** Makes the answer of what a handler would return. */
  readonly render: ((value: unknown) => Answer) | undefined
  /** Another has taken the work over. */
  onLost(): void
}

/** One holder's work under a key. Its lease is extended three times as often as it needs to be. */
export class Run {
  readonly id: string
  readonly token: string
  readonly render: ((value: unknown) => Answer) | undefined
  /** The packed answer that has committed together with the effect. */
  committed: string | undefined = undefined
  /** The lease went to another: nothing of this run may be kept. */
  lost = false
  readonly #settings: RunSettings
  readonly #timer: Timer
  #beating = false
  #ended = false

  constructor(settings: RunSettings) {
    this.id = settings.id
    this.token = settings.token
    this.render = settings.render
    this.#settings = settings
    this.#timer = settings.clock.every(Math.max(100, settings.leaseMs / 3), () => void this.#beat())
  }

  end(): void {
    this.#ended = true
    this.#timer.cancel()
  }

  lose(): void {
    if (this.lost) return
    this.lost = true
    this.#timer.cancel()
    this.#settings.onLost()
  }

  async #beat(): Promise<void> {
    if (this.#beating) return
    this.#beating = true
    const { driver, leaseMs, log } = this.#settings
    try {
      const held = await driver.extend(this.id, this.token, leaseMs)
      // What has come to nothing was given back: no lease is left that another could have taken.
      if (!held && !this.#ended) this.lose()
    } catch (error) {
      // The lease holds for two more tries; should it end, the token keeps a second holder's answer safe.
      log.debug({ err: error }, 'extending the lease of an idempotency key failed')
    } finally {
      this.#beating = false
    }
  }
}
