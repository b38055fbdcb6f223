import type { Timer } from '../../../kernel/clock.ts'
import type { Due, Lease, Position } from '../driver.ts'
import { matching } from '../match.ts'
import type { HandlerSubscription } from '../subscription.ts'
import { deliveryOf, faultOf, verdict } from './delivery.ts'
import type { Delivery, Lane, LaneParts } from './delivery.ts'
import { Entry, InOrder } from './in-order.ts'
import { ReportWriter } from './report-writer.ts'
import { Run } from './run.ts'

const batch = 200
/** Events that are read and not stored as handled: a slow one holds so many up in memory, and no more. */
const window = 1000
/** How often what waits is looked at when nobody says that its time has come. */
const dueMs = 15_000
/** It is not looked at more often, however often somebody calls. */
const dueAtMostMs = 100
const againMs = 1000

/** Hands events to a handler: keys at the same time, events of one key one after the other. */
export class HandlerLane implements Lane {
  readonly lease: Lease
  readonly #parts: LaneParts
  readonly #subscription: HandlerSubscription
  readonly #delivery: Delivery
  readonly #match: string | undefined
  readonly #writer: ReportWriter
  /** What was read, until all before it is handled too. */
  readonly #order: InOrder
  /** What may begin when a place is free. */
  readonly #ready: Entry[] = []
  /** What follows in each key of which one runs or is ready. */
  readonly #keys = new Map<string, Entry[]>()
  /** Keys of which one waits beside the log. */
  #blocked: Set<string> | undefined
  /** Of those, what the log gives once more, since the last holder was killed before its place had passed them. */
  #besides: Set<Position> = new Set()
  readonly #runs = new Map<Entry, Run>()
  /** Parked events that have a place here. */
  readonly #retrying = new Set<Position>()
  #more = true
  #reading = false
  #due: 'known' | 'unknown' | 'asked' = 'unknown'
  #dueAt = 0
  #waiting = 0
  /** Reports stored so far: what was asked for before the last one is old. */
  #stored = 0
  #timer: Timer | undefined
  #soon: Timer | undefined
  #failing = false
  #state: 'running' | 'draining' | 'stopped' = 'running'
  #quiet: (() => void) | undefined

  constructor(parts: LaneParts, lease: Lease, subscription: HandlerSubscription) {
    this.#parts = parts
    this.lease = lease
    this.#subscription = subscription
    this.#delivery = deliveryOf(subscription, 3_600_000)
    this.#match = matching(subscription.to)
    this.#order = new InOrder(lease.cursor)
    this.#writer = new ReportWriter(parts, lease, {
      cursor: () => this.#order.cursor,
      onFreed: (keys, changed) => this.#freed(keys, changed),
      onLost: () => parts.onLost(this),
    })
    void this.#open()
  }

  get running(): number {
    return this.#runs.size
  }

  get failing(): boolean {
    return this.#failing || this.#writer.failing
  }

  get idle(): boolean {
    const still = !this.#reading && !this.#more && this.#runs.size === 0 && this.#ready.length === 0
    return this.#blocked !== undefined && this.#due === 'known' && still && !this.#writer.busy
  }

  wake(): void {
    this.#more = true
    // A dead one may have become due again. Most calls are about new events, though.
    const { clock } = this.#parts
    const waitMs = this.#dueAt + dueAtMostMs - clock.monotonic()
    if (waitMs <= 0) this.#due = 'unknown'
    else
      this.#soon ??= clock.after(waitMs, () => {
        this.#soon = undefined
        this.#due = 'unknown'
        this.#turn()
      })
    this.#turn()
  }

  async drain(): Promise<void> {
    if (this.#state === 'running') this.#state = 'draining'
    this.#timer?.cancel()
    this.#soon?.cancel()
    if (this.#runs.size > 0) await new Promise<void>((resolve) => (this.#quiet = resolve))
  }

  async stop(why: 'shutdown' | 'lost'): Promise<void> {
    if (this.#state === 'stopped') return
    this.#state = 'stopped'
    this.#timer?.cancel()
    this.#soon?.cancel()
    for (const run of this.#runs.values()) run.abort(why === 'lost' ? 'lease_lost' : 'shutdown')
    if (why === 'lost') return this.#writer.end()
    // What is not done, but stands before something that is, waits beside the log: nothing is done a second time.
    for (const { event } of this.#order.leave()) this.#writer.park({ event, attempt: 0, delayMs: 0, dead: false })
    await this.#writer.flush()
    this.#writer.end()
  }

  /** What waits has to be known before anything is handled. */
  async #open(): Promise<void> {
    try {
      const { driver } = this.#parts
      this.#besides = new Set(await driver.besides(this.lease.name, this.lease.cursor))
      this.#blocked = new Set(await driver.blocked(this.lease.name))
      this.#failing = false
      this.#turn()
    } catch (error) {
      this.#failed(error, () => void this.#open())
    }
  }

  #turn(): void {
    if (this.#state !== 'running' || this.#blocked === undefined) return
    if (this.#due === 'unknown') void this.#askDue()
    if (this.#more && !this.#reading && this.#order.size < window && this.#waiting < this.#parts.parkedLimit)
      void this.#read()
    while (this.#ready.length > 0 && this.#runs.size < this.#delivery.concurrency)
      void this.#handle(this.#ready.shift()!)
  }

  async #read(): Promise<void> {
    this.#reading = true
    this.#more = false
    try {
      const after = this.#order.read
      const { events, next, end } = await this.#parts.driver.read({
        after,
        limit: batch,
        match: this.#match,
        told: true,
      })
      this.#failing = false
      if (this.#state === 'stopped') return
      if (!end) this.#more = true
      for (const event of events) {
        const entry = this.#order.add(event)
        if (this.#besides.delete(event.sequence)) this.#order.done(entry)
        else this.#admit(entry)
      }
      this.#order.passed(next)
      if (next > after) this.#writer.moved(false)
    } catch (error) {
      this.#failed(error, () => this.wake())
    } finally {
      this.#reading = false
    }
    this.#turn()
  }

  async #askDue(): Promise<void> {
    const { driver, clock } = this.#parts
    this.#due = 'asked'
    this.#dueAt = clock.monotonic()
    const stored = this.#stored
    let due: Due
    try {
      due = await driver.due(this.lease.name, 2 * this.#delivery.concurrency + this.#retrying.size)
    } catch (error) {
      this.#due = 'unknown'
      return this.#failed(error, () => this.#turn())
    }
    if (this.#due === 'asked') this.#due = 'known'
    if (this.#state !== 'running') return
    if (stored !== this.#stored) {
      this.#due = 'unknown'
      return this.#turn()
    }
    if (due.waiting >= this.#parts.parkedLimit && this.#waiting < this.#parts.parkedLimit)
      this.#parts.log.error(
        { subscription: this.lease.name, waiting: due.waiting },
        'so many events wait that the subscription waits for them',
      )
    this.#waiting = due.waiting
    for (const { event, attempt } of due.events) {
      if (this.#retrying.has(event.sequence)) continue
      this.#retrying.add(event.sequence)
      this.#admit(new Entry(event, attempt, true))
    }
    this.#timer?.cancel()
    const nextMs = Math.min(due.nextMs === undefined ? dueMs : Math.max(1, due.nextMs), dueMs)
    this.#timer = clock.after(nextMs, () => {
      this.#due = 'unknown'
      this.#turn()
    })
    this.#turn()
  }

  #admit(entry: Entry): void {
    const { key } = entry
    if (key === undefined) return void this.#ready.push(entry)
    if (!entry.parked && this.#blocked!.has(key)) return this.#parkBehind(entry)
    const queue = this.#keys.get(key)
    if (queue !== undefined) return void queue.push(entry)
    this.#keys.set(key, [])
    this.#ready.push(entry)
  }

  #parkBehind(entry: Entry): void {
    this.#waiting++
    this.#order.done(entry)
    this.#writer.park({ event: entry.event, attempt: 0, delayMs: 0, dead: false })
  }

  async #handle(entry: Entry): Promise<void> {
    const { clock, meter, log } = this.#parts
    const { name } = this.lease
    const { event } = entry
    const attempt = entry.attempt + 1
    const run = new Run(this.#parts, this.#subscription, this.#delivery.timeoutMs)
    this.#runs.set(entry, run)
    if (attempt === 1) meter.started(name, event)
    const began = clock.monotonic()
    try {
      await run.handle(event, attempt)
      if (this.#state !== 'stopped') this.#ended(entry, undefined, attempt)
      meter.handled(name, event, attempt, 'done', clock.monotonic() - began)
    } catch (error) {
      const runMs = clock.monotonic() - began
      if (this.#state === 'stopped') meter.handled(name, event, attempt, 'dropped', runMs)
      else {
        const told = run.aborted === 'timeout' ? 'an event took too long' : 'an event could not be handled'
        const dead = this.#ended(entry, { error }, attempt)
        const fields = { err: error, subscription: name, event: event.id, type: event.type, attempt }
        if (dead) log.error(fields, `${told}, and is dead`)
        else log.warn(fields, `${told}; trying again`)
        meter.handled(name, event, attempt, dead ? 'dead' : 'parked', runMs, faultOf(error))
      }
    }
    this.#runs.delete(entry)
    this.#next(entry)
    this.#turn()
    if (this.#runs.size === 0) this.#quiet?.()
  }

  /** Gives whether the event is dead. */
  #ended(entry: Entry, failure: { readonly error: unknown } | undefined, attempt: number): boolean {
    const { event, key } = entry
    if (failure === undefined) {
      if (entry.parked) this.#writer.retried({ position: event.sequence, as: 'done', delayMs: 0 })
      else {
        this.#order.done(entry)
        this.#writer.moved(true)
      }
      return false
    }
    const { dead, delayMs } = verdict(failure.error, attempt, this.#delivery)
    const error = faultOf(failure.error)
    if (entry.parked) this.#writer.retried({ position: event.sequence, as: dead ? 'dead' : 'failed', delayMs, error })
    else {
      this.#order.done(entry)
      this.#writer.park({ event, attempt, delayMs, error, dead })
      if (!dead && key !== undefined) this.#block(key)
    }
    return dead
  }

  /** What was read of this key goes behind the one that has failed. */
  #block(key: string): void {
    this.#waiting++
    this.#blocked!.add(key)
    const queue = this.#keys.get(key)
    if (queue === undefined) return
    const fresh = queue.filter(({ parked }) => !parked)
    this.#keys.set(
      key,
      queue.filter(({ parked }) => parked),
    )
    for (const entry of fresh) this.#parkBehind(entry)
  }

  #next({ key }: Entry): void {
    if (key === undefined) return
    const following = this.#keys.get(key)?.shift()
    if (following === undefined) this.#keys.delete(key)
    else this.#ready.push(following)
  }

  /** Keys are free when nothing of them waits, here or in the store. */
  #freed(keys: readonly string[], changed: boolean): void {
    for (const key of keys) if (!this.#writer.parks(key)) this.#blocked?.delete(key)
    if (!changed) return this.#turn()
    this.#stored++
    this.#retrying.clear()
    for (const position of this.#writer.ending) this.#retrying.add(position)
    for (const entry of [...this.#runs.keys(), ...this.#ready, ...[...this.#keys.values()].flat()])
      if (entry.parked) this.#retrying.add(entry.event.sequence)
    this.#due = 'unknown'
    this.#turn()
  }

  #failed(error: unknown, again: () => void): void {
    this.#failing = true
    if (this.#state !== 'running') return
    this.#parts.log.warn({ err: error, subscription: this.lease.name }, 'events cannot be read; trying again')
    this.#parts.clock.after(againMs, () => this.#state === 'running' && again())
  }
}
