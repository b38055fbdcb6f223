import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import { storeChannel } from './events.ts'

export interface GuardSettings {
  readonly driver: string
  readonly clock: Clock
  readonly log: Log
  readonly deadlineMs: number
  readonly retryMs: number
}

/** One question to the store. */
interface Asked {
  readonly dueMs: number
  /** Gives up waiting; `undefined` once there is an answer. */
  expire: (() => void) | undefined
}

/**
 * Keeps a store that is away from costing anything. The first question that fails or is not answered in time opens the
 * circuit; while it is open, nothing is asked but one call every `retryMs`, whose caller does not wait for it. (The
 * kernel's breaker wraps each call in promises; here most answers come without one, and the refusal must as well.)
 */
export class Guard {
  readonly #settings: GuardSettings
  /** In order of `dueMs`, since all wait for equally long. */
  #asked: Asked[] = []
  #timing = false
  #lost = false
  /** While lost: when the store may be tried again; infinite while it is being tried. */
  #retryAtMs = 0

  constructor(settings: GuardSettings) {
    this.#settings = settings
  }

  get lost(): boolean {
    return this.#lost
  }

  /** While lost: whether this call shall try the store (see `probe`). */
  get retries(): boolean {
    return this.#settings.clock.monotonic() >= this.#retryAtMs
  }

  /**
   * What `finish` makes of the answer to a question that has been asked, or of what `otherwise` says when none comes in
   * time. Never rejects.
   */
  within<T, R>(answer: Promise<T>, finish: (answer: T) => R, otherwise: () => R): Promise<R> {
    return new Promise((resolve) => {
      const asked: Asked = {
        dueMs: this.#settings.clock.monotonic() + this.#settings.deadlineMs,
        expire: () => {
          asked.expire = undefined
          this.fail(undefined)
          resolve(otherwise())
        },
      }
      this.#await(asked)
      answer.then(
        (value) => {
          if (asked.expire === undefined) return
          asked.expire = undefined
          resolve(finish(value))
        },
        (error: unknown) => {
          if (asked.expire === undefined) return
          asked.expire = undefined
          this.fail(error)
          resolve(otherwise())
        },
      )
    })
  }

  /** Asks the store once, in the background, whether it is back. */
  probe(ask: () => unknown): void {
    this.#retryAtMs = Number.POSITIVE_INFINITY
    const question = new Promise((resolve) => resolve(ask()))
    void this.within(
      question,
      () => this.#restore(),
      () => {},
    )
  }

  /** The store has failed; `cause` is undefined when it kept silent. */
  fail(cause: unknown): void {
    const { clock, retryMs, driver, log, deadlineMs } = this.#settings
    this.#retryAtMs = clock.monotonic() + retryMs
    if (this.#lost) return
    this.#lost = true
    const reason = cause ?? new Error(`no answer within ${deadlineMs} ms`)
    log.warn({ err: reason, driver }, 'rate limits: the store does not answer, each limit follows its policy')
    if (storeChannel.hasSubscribers) storeChannel.publish({ state: 'lost', driver, cause: reason })
  }

  #restore(): void {
    if (!this.#lost) return
    this.#lost = false
    const { driver, log } = this.#settings
    log.info({ driver }, 'rate limits: the store answers again')
    if (storeChannel.hasSubscribers) storeChannel.publish({ state: 'restored', driver })
  }

  #await(asked: Asked): void {
    this.#asked.push(asked)
    if (!this.#timing) this.#arm(this.#settings.deadlineMs)
  }

  /** One timer for all. */
  #arm(ms: number): void {
    this.#timing = true
    // A process that was busy for long finds its timers due before it has read the answers that lie in its sockets.
    this.#settings.clock.after(ms, () => setImmediate(() => this.#expire()))
  }

  #expire(): void {
    const nowMs = this.#settings.clock.monotonic()
    const waiting = this.#asked.filter(({ expire }) => expire !== undefined)
    const first = waiting.findIndex(({ dueMs }) => dueMs > nowMs)
    const due = first < 0 ? waiting : waiting.slice(0, first)
    this.#asked = first < 0 ? [] : waiting.slice(first)
    const next = this.#asked[0]
    this.#timing = false
    if (next !== undefined) this.#arm(Math.max(1, next.dueMs - nowMs))
    for (const { expire } of due) expire?.()
  }
}
