import { getHeapStatistics } from 'node:v8'
import type { Clock, Timer } from '../kernel/clock.ts'

/** How loaded the process is. Read once per sample, never per request. */
export interface Load {
  /** How much later than planned the sampler ran, in milliseconds. */
  readonly delayMs: number
  readonly heapPercent: number
  readonly rssBytes: number
}

export interface PressureOptions {
  readonly shedding: boolean
  readonly shedDelayMs: number
  readonly shedHeapPercent: number
  readonly shedRssBytes: number
}

const sampleEveryMs = 250

/** Watches the event loop and memory; while it says `high`, routes that are not vital answer 503. */
export class Pressure {
  high = false
  readonly #options: PressureOptions
  readonly #rssLimit: number
  #timer: Timer | undefined

  constructor(options: PressureOptions) {
    this.#options = options
    // constrainedMemory() is 0 or absurdly large where no container limits it.
    const container = process.constrainedMemory()
    const limited = container > 0 && container < Number.MAX_SAFE_INTEGER
    this.#rssLimit =
      options.shedRssBytes > 0 ? options.shedRssBytes : limited ? container * 0.95 : Number.POSITIVE_INFINITY
  }

  start(clock: Clock): void {
    if (!this.#options.shedding || this.#timer !== undefined) return
    let expected = clock.monotonic() + sampleEveryMs
    this.#timer = clock.every(sampleEveryMs, () => {
      const now = clock.monotonic()
      const heap = getHeapStatistics()
      this.judge({
        delayMs: now - expected,
        heapPercent: (heap.used_heap_size / heap.heap_size_limit) * 100,
        // A file of the kernel's to read, so only where there is a limit.
        rssBytes: this.#rssLimit === Number.POSITIVE_INFINITY ? 0 : process.memoryUsage.rss(),
      })
      expected = now + sampleEveryMs
    })
  }

  /** Takes one sample; public so that the rule can be tried without a loaded machine. */
  judge(load: Load): void {
    const { shedding, shedDelayMs, shedHeapPercent } = this.#options
    this.high =
      shedding &&
      (load.delayMs >= shedDelayMs || load.heapPercent >= shedHeapPercent || load.rssBytes >= this.#rssLimit)
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }
}
