import type { Clock, Timer } from '../kernel/clock.ts'

/** Something that must end by a certain time. Linked into its queue, so that ending costs nothing. */
export interface Expiring {
  previous: Expiring | undefined
  next: Expiring | undefined
  /** On the monotonic clock. */
  deadline: number
  expire(): void
}

/**
 * Time limits for many requests with one timer: those with the same limit end in the order in which they
 * began, so each limit needs a queue and a look at its head.
 */
export class Deadlines {
  readonly #clock: Clock
  readonly #queues = new Map<number, Queue>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  queue(limitMs: number): Queue {
    let queue = this.#queues.get(limitMs)
    if (queue === undefined) this.#queues.set(limitMs, (queue = new Queue(this.#clock, limitMs)))
    return queue
  }

  /** Ends all timers; what still waits will not expire any more. */
  stop(): void {
    for (const queue of this.#queues.values()) queue.stop()
  }
}

export class Queue {
  readonly #clock: Clock
  readonly #limitMs: number
  #head: Expiring | undefined = undefined
  #tail: Expiring | undefined = undefined
  #timer: Timer | undefined = undefined

  constructor(clock: Clock, limitMs: number) {
    this.#clock = clock
    this.#limitMs = limitMs
  }

  add(item: Expiring, startedAt: number): void {
    item.deadline = startedAt + this.#limitMs
    item.previous = this.#tail
    if (this.#tail === undefined) this.#head = item
    else this.#tail.next = item
    this.#tail = item
    if (this.#timer === undefined) this.#arm(item.deadline)
  }

  /** Safe to call for an item that is in no queue. */
  remove(item: Expiring): void {
    const { previous, next } = item
    if (previous === undefined && this.#head !== item) return
    if (previous === undefined) this.#head = next
    else previous.next = next
    if (next === undefined) this.#tail = previous
    else next.previous = previous
    item.previous = item.next = undefined
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #arm(deadline: number): void {
    this.#timer = this.#clock.after(Math.max(1, deadline - this.#clock.monotonic()), () => this.#fire())
  }

  #fire(): void {
    this.#timer = undefined
    const now = this.#clock.monotonic()
    while (this.#head !== undefined && this.#head.deadline <= now) {
      const item = this.#head
      this.remove(item)
      item.expire()
    }
    if (this.#head !== undefined) this.#arm(this.#head.deadline)
  }
}
