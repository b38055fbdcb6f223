import { AsyncLocalStorage } from 'node:async_hooks'
import { uuidv7 } from '../../kernel/ids.ts'
import type { Clock, Timer } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import type { EventsDriver, Position } from './driver.ts'

export interface NewsParts {
  readonly driver: EventsDriver
  readonly clock: Clock
  readonly log: Log
  readonly pollMs: number
}

/** While there is news at each look, the log is looked at so often and nobody has to call. */
const busyMs = 10
/** After so many looks in a row with news, committers are told not to call: a notification makes them queue up. */
const busyLooks = 10
/** Looks after the last news: somebody may have committed just before it saw that we want to be called. */
const ladderMs: readonly number[] = [10, 50, 250]
const markMs = 60_000

/**
 * Tells all who watch in this process that the log has grown. Idle, it waits to be called (and looks each `pollMs`, since calls
 * can be missed); busy, it looks by itself.
 */
export class News {
  readonly #parts: NewsParts
  readonly #waiter = uuidv7()
  readonly #listeners = new Set<() => void>()
  /** Timers belong to nobody's unit of work. */
  readonly #outside = AsyncLocalStorage.snapshot()
  #deafen: Promise<() => Promise<void>> | undefined
  #timer: Timer | undefined
  #head: Position | undefined
  #looking: Promise<void> | undefined
  #ended: Promise<void> = Promise.resolve()
  #again = false
  /** Somebody wants to be heard, perhaps of something else than events. */
  #called = false
  /** Looks in a row that found something (above 0) or did not (below). */
  #run = 0
  #markedUntil = Number.NEGATIVE_INFINITY

  constructor(parts: NewsParts) {
    this.#parts = parts
  }

  watch(listener: () => void): () => void {
    const own = (): void => listener()
    this.#listeners.add(own)
    if (this.#listeners.size === 1) this.#outside(() => this.#begin())
    return () => {
      if (this.#listeners.delete(own) && this.#listeners.size === 0) this.#ended = this.#end()
    }
  }

  /** Ends all watching, also what is about to end since the last one left. */
  async close(): Promise<void> {
    this.#listeners.clear()
    await this.#ended
    await this.#end()
  }

  #begin(): void {
    this.#look()
    this.#deafen ??= this.#parts.driver.listen(() => this.#outside(() => this.#call()))
    this.#deafen.then(
      // Who committed before we could hear has called in vain.
      () => this.#look(),
      (error: unknown) => {
        this.#deafen = undefined
        this.#parts.log.warn({ err: error }, 'the log of events cannot be listened to; it is looked at instead')
      },
    )
  }

  async #end(): Promise<void> {
    this.#timer?.cancel()
    this.#timer = undefined
    const deafen = await this.#deafen?.catch(() => undefined)
    if (this.#listeners.size > 0) return
    this.#deafen = undefined
    this.#head = undefined
    await this.#looking
    await deafen?.().catch(() => undefined)
    if (this.#markedUntil === Number.NEGATIVE_INFINITY) return
    this.#markedUntil = Number.NEGATIVE_INFINITY
    await this.#parts.driver.await(this.#waiter, 0).catch(() => undefined)
  }

  #call(): void {
    this.#called = true
    this.#look()
  }

  #look(): void {
    if (this.#listeners.size === 0) return
    if (this.#looking !== undefined) {
      this.#again = true
      return
    }
    this.#timer?.cancel()
    this.#looking = this.#lookOnce().finally(() => {
      this.#looking = undefined
      if (this.#listeners.size === 0) return
      if (this.#again) {
        this.#again = false
        this.#look()
      } else this.#timer = this.#parts.clock.after(this.#nextMs(), () => this.#look())
    })
  }

  async #lookOnce(): Promise<void> {
    const called = this.#called
    this.#called = false
    try {
      const head = await this.#parts.driver.head()
      const grown = head !== this.#head
      this.#head = head
      this.#run = grown ? Math.max(this.#run, 0) + 1 : Math.min(this.#run, 0) - 1
      if (grown || called) for (const tell of [...this.#listeners]) this.#tell(tell)
      await this.#mark(this.#run < busyLooks)
    } catch (error) {
      this.#run = -ladderMs.length - 1
      this.#markedUntil = Number.NEGATIVE_INFINITY
      this.#parts.log.warn({ err: error }, 'the log of events cannot be looked at; trying again')
      // Whoever reads will see for himself.
      for (const tell of [...this.#listeners]) this.#tell(tell)
    }
  }

  /** Says to committers whether they shall call. What commits before they see it is found by looking once more. */
  async #mark(wanted: boolean): Promise<void> {
    const { driver, clock } = this.#parts
    if (!driver.capabilities.listen) return
    const now = clock.monotonic()
    if (wanted && this.#markedUntil < now + markMs / 2) {
      await driver.await(this.#waiter, markMs)
      this.#markedUntil = now + markMs
      this.#again = true
    } else if (!wanted && this.#markedUntil > now) {
      await driver.await(this.#waiter, 0)
      this.#markedUntil = Number.NEGATIVE_INFINITY
    }
  }

  #nextMs(): number {
    if (this.#run > 0) return busyMs
    return Math.min(ladderMs[-this.#run - 1] ?? this.#parts.pollMs, this.#parts.pollMs)
  }

  #tell(listener: () => void): void {
    try {
      listener()
    } catch (error) {
      this.#parts.log.error({ err: error }, 'a watcher of events failed')
    }
  }
}
