import { AsyncLocalStorage } from 'node:async_hooks'
import { backoffMs, Discard, RetryAfter } from '../../jobs/index.ts'
import type { Lease, LoggedEvent, Position } from '../driver.ts'
import { matching } from '../match.ts'
import type { Subscription } from '../subscription.ts'
import { DeliveryAborted, deliveryOf, faultOf, isOutage } from './delivery.ts'
import type { Delivery, Lane, LaneParts } from './delivery.ts'

const batch = 100
const againMs = 500
/** How often the place is stored where nothing was for this subscription. */
const passedMs = 1000

/** Takes a batch and says which of it are left, in order; `lost` when the lease is over. */
export type Deliver = (events: readonly LoggedEvent[], cursor: Position, signal: AbortSignal) => Promise<Left>

export type Left = 'none' | 'lost' | { readonly events: readonly LoggedEvent[]; readonly error: unknown }

/** Hands events over in batches, in the order of the log, one batch after the other. */
export class BatchLane implements Lane {
  readonly lease: Lease
  readonly #parts: LaneParts
  readonly #subscription: Subscription
  readonly #delivery: Delivery
  readonly #match: string | undefined
  readonly #deliver: Deliver
  readonly #controller = new AbortController()
  readonly #done: Promise<void>
  #stored: Position
  #storedAt = 0
  #size = batch
  #attempts = 0
  #busy = false
  #pausing = false
  #more = true
  #failing = false
  #state: 'running' | 'draining' | 'stopped' = 'running'
  #awake: (() => void) | undefined

  constructor(parts: LaneParts, lease: Lease, subscription: Subscription, deliver: Deliver) {
    this.#parts = parts
    this.lease = lease
    this.#subscription = subscription
    // All others wait behind what fails.
    this.#delivery = deliveryOf(subscription, 30_000)
    this.#match = matching(subscription.to)
    this.#deliver = deliver
    this.#stored = lease.cursor
    this.#done = AsyncLocalStorage.snapshot()(() => this.#run())
  }

  get running(): number {
    return this.#busy ? 1 : 0
  }

  get failing(): boolean {
    return this.#failing
  }

  get idle(): boolean {
    return this.#pausing || (!this.#busy && !this.#more)
  }

  wake(): void {
    this.#more = true
    this.#awake?.()
  }

  async drain(): Promise<void> {
    if (this.#state === 'running') this.#state = 'draining'
    this.#awake?.()
    await this.#done
  }

  async stop(why: 'shutdown' | 'lost'): Promise<void> {
    this.#state = 'stopped'
    this.#controller.abort(new DeliveryAborted(why === 'lost' ? 'lease_lost' : 'shutdown'))
    this.#awake?.()
    if (why === 'shutdown') await this.#done
  }

  async #run(): Promise<void> {
    let cursor = this.lease.cursor
    let left: readonly LoggedEvent[] = []
    let next = cursor
    while (this.#state === 'running') {
      this.#busy = true
      try {
        if (left.length === 0) {
          this.#more = false
          const page = await this.#parts.driver.read({ after: cursor, limit: batch, match: this.#match, told: true })
          if (!page.end) this.#more = true
          left = page.events
          next = page.next
        }
        this.#failing = false
        if (left.length > 0) {
          const found = await this.#attempt(left, next)
          if (found === 'lost') break
          left = found
          cursor = left.length === 0 ? next : this.#stored
        } else {
          cursor = next
          if (!(await this.#passed(cursor))) break
        }
      } catch (error) {
        this.#failing = true
        this.#parts.log.warn(
          { err: error, subscription: this.lease.name },
          'events cannot be read or their place cannot be stored; trying again',
        )
        await this.#pause(againMs)
      }
      this.#busy = false
      if (left.length === 0 && !this.#more) await this.#asleep(cursor > this.#stored)
    }
    this.#busy = false
    if (this.#state === 'running') this.#parts.onLost(this)
    else await this.#passed(cursor, true).catch(() => false)
  }

  /** Delivers the first of `events`; gives the rest. */
  async #attempt(events: readonly LoggedEvent[], next: Position): Promise<readonly LoggedEvent[] | 'lost'> {
    const { clock, meter } = this.#parts
    const { name } = this.lease
    const part = events.slice(0, this.#size)
    const rest = events.slice(part.length)
    const began = clock.monotonic()
    for (const event of part) if (this.#attempts === 0) meter.started(name, event)
    const cursor = rest.length === 0 ? next : part.at(-1)!.sequence
    const found = await this.#deliver(part, cursor, this.#controller.signal)
    if (found === 'lost') return 'lost'
    const runMs = clock.monotonic() - began
    const remaining = found === 'none' ? [] : found.events
    const undone = new Set(remaining)
    for (const event of part) if (!undone.has(event)) meter.handled(name, event, this.#attempts + 1, 'done', runMs)
    if (found === 'none') {
      this.#stored = cursor
      this.#storedAt = clock.monotonic()
      this.#attempts = 0
      this.#size = Math.min(batch, this.#size * 2)
      return rest
    }
    if (this.#controller.signal.aborted) return [...remaining, ...rest]
    const buried = await this.#failed(part, remaining, found.error, runMs, rest.length === 0 ? next : cursor)
    return buried === 'lost' ? 'lost' : [...buried, ...rest]
  }

  /** Waits before the next attempt, and buries one that fails alone too often. */
  async #failed(
    part: readonly LoggedEvent[],
    remaining: readonly LoggedEvent[],
    error: unknown,
    runMs: number,
    cursor: Position,
  ): Promise<readonly LoggedEvent[] | 'lost'> {
    const { driver, log, meter } = this.#parts
    const { name } = this.lease
    const progress = remaining.length < part.length
    const fields = { err: error, subscription: name, event: remaining[0]!.id, events: remaining.length }
    // Where a sink is away altogether, no event is to blame, however often it is tried.
    const blamed = error instanceof Discard || part.some(({ id }) => refusedBy(error).includes(id))
    const away = isOutage(error) || ('sink' in this.#subscription && !progress && !blamed)
    if (progress) this.#attempts = 0
    if (part.length === 1 && !away && (error instanceof Discard || this.#attempts + 1 >= this.#delivery.maxAttempts)) {
      const [event] = part as [LoggedEvent]
      const attempt = this.#attempts + 1
      const park = [{ event, attempt, delayMs: 0, error: faultOf(error), dead: true }]
      if (!(await driver.settle(this.lease, { cursor, park, retried: [] })).held) return 'lost'
      log.error(fields, 'an event could not be delivered, and is dead')
      meter.handled(name, event, attempt, 'dead', runMs, faultOf(error))
      this.#stored = cursor
      this.#attempts = 0
      return []
    }
    log.warn(fields, 'events could not be delivered; trying again')
    meter.handled(name, remaining[0]!, this.#attempts + 1, 'parked', runMs, faultOf(error))
    // The one that is to blame is found by making parts smaller; then it has attempts of its own.
    const smaller = !away && part.length > 1
    if (smaller) this.#size = part.length >> 1
    this.#attempts = smaller ? 0 : this.#attempts + 1
    const { backoff } = this.#delivery
    await this.#pause(error instanceof RetryAfter ? error.delayMs : backoffMs(backoff, Math.max(1, this.#attempts)))
    return remaining
  }

  /** Stores the place where nothing was for us, now and then. False when the lease is lost. */
  async #passed(cursor: Position, now = false): Promise<boolean> {
    const { clock, driver } = this.#parts
    if (cursor <= this.#stored || (!now && clock.monotonic() - this.#storedAt < passedMs)) return true
    const { held } = await driver.settle(this.lease, { cursor, park: [], retried: [] })
    this.#stored = cursor
    this.#storedAt = clock.monotonic()
    return held
  }

  async #pause(ms: number): Promise<void> {
    if (this.#state !== 'running') return
    this.#pausing = true
    const over = Promise.withResolvers<void>()
    const timer = this.#parts.clock.after(ms, () => over.resolve())
    this.#awake = () => this.#state !== 'running' && over.resolve()
    await over.promise
    this.#pausing = false
    this.#awake = undefined
    timer.cancel()
  }

  /** Until something comes. `behind`: what was passed is stored although nothing does. */
  async #asleep(behind: boolean): Promise<void> {
    if (this.#state !== 'running') return
    const over = Promise.withResolvers<void>()
    this.#awake = () => over.resolve()
    const timer = behind ? this.#parts.clock.after(passedMs, () => this.wake()) : undefined
    await over.promise
    timer?.cancel()
    this.#awake = undefined
  }
}

/** The ids that a sink says the other side will not take. */
function refusedBy(error: unknown): readonly string[] {
  const { refused } = (error ?? {}) as { readonly refused?: unknown }
  return Array.isArray(refused) ? (refused as readonly string[]) : []
}
