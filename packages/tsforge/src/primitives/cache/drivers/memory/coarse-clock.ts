import type { Clock } from '../../../../kernel/clock.ts'

/** How old the time may be that a hit is judged by. */
const readEveryMs = 20
/** Most ticks: the largest number that V8 keeps in a word. 397 days; what is further away is looked at again then. */
const lastTick = 2 ** 31 - 1

/** Ticks (of 16 ms) are whole numbers without a box of their own, so that a hit follows one pointer less. */
export function tickOf(ms: number): number {
  return Math.min(lastTick, Math.floor(ms / 16))
}

/**
 * The monotonic clock, read once in 20 ms: asking the system at every hit would cost as much as the hit. Nothing runs
 * while nobody asks.
 */
export class CoarseClock {
  readonly #clock: Clock
  #tick = -1
  readonly #forget = (): void => {
    this.#tick = -1
  }

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** The time in ticks, maybe a bit old. */
  get tick(): number {
    return this.#tick === -1 ? this.#read() : this.#tick
  }

  /** The time as it is, in milliseconds. */
  get now(): number {
    return this.#clock.monotonic()
  }

  #read(): number {
    this.#clock.after(readEveryMs, this.#forget)
    return (this.#tick = tickOf(this.#clock.monotonic()))
  }
}
