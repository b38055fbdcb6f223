import type { Clock } from '../../../../kernel/clock.ts'
import type { Redis, Script } from '../../../redis/index.ts'
import type { RateRule } from '../../driver.ts'

/** One call of a batch. */
export interface Asked {
  readonly rule: RateRule
  readonly key: string
  readonly cost: number
  /** When the batch was sent, by the clock of this process. */
  readonly sentMs: number
}

interface Waiting<T> {
  readonly resolve: (answer: T) => void
  readonly reject: (cause: unknown) => void
}

interface Batch<T> {
  readonly rule: RateRule
  readonly keys: string[]
  readonly costs: number[]
  readonly wants: number[]
  readonly waiting: Waiting<T>[]
  /** All costs are 1. */
  plain: boolean
}

/** Redis runs nothing else meanwhile; so many take it some tenths of a millisecond. */
const mostKeys = 128

export interface BatchSettings<T> {
  readonly redis: Redis
  readonly clock: Clock
  readonly script: Script
  /** Each call says what it needs and what it wants; else its cost alone, and nothing when all cost 1. */
  readonly wants: boolean
  /** Takes the answer of the call at `index` out of the reply. */
  read(reply: readonly number[], index: number, asked: Asked): T
}

/**
 * Calls of one turn of the event loop against one limit, in one run of a script that decides each of them by itself, in
 * their order: as exact as one call each, for a part of the cost. A cluster has keys in several places: one call each.
 */
export class Batches<T> {
  readonly #settings: BatchSettings<T>
  readonly #open = new Map<RateRule, Batch<T>>()
  readonly #most: number
  #scheduled = false

  constructor(settings: BatchSettings<T>) {
    this.#settings = settings
    this.#most = settings.redis.cluster ? 1 : mostKeys
  }

  ask(rule: RateRule, key: string, cost: number, want: number = cost): Promise<T> {
    let batch = this.#open.get(rule)
    if (batch === undefined) {
      this.#open.set(rule, (batch = { rule, keys: [], costs: [], wants: [], waiting: [], plain: true }))
    }
    const { keys, costs, wants, waiting } = batch
    keys.push(key)
    costs.push(cost)
    wants.push(want)
    if (cost !== 1) batch.plain = false
    const answer = new Promise<T>((resolve, reject) => waiting.push({ resolve, reject }))
    if (keys.length >= this.#most) {
      this.#open.delete(rule)
      void this.#send(batch)
    } else if (!this.#scheduled) {
      this.#scheduled = true
      setImmediate(this.#flush)
    }
    return answer
  }

  readonly #flush = (): void => {
    this.#scheduled = false
    const batches = [...this.#open.values()]
    this.#open.clear()
    for (const batch of batches) void this.#send(batch)
  }

  async #send({ rule, keys, costs, wants, waiting, plain }: Batch<T>): Promise<void> {
    const { redis, clock, script, read, wants: withWants } = this.#settings
    const sentMs = clock.monotonic()
    const args = [String(rule.intervalUs), String(rule.depthUs)]
    if (withWants) for (const [index, cost] of costs.entries()) args.push(String(cost), String(wants[index]!))
    else if (!plain) for (const cost of costs) args.push(String(cost))
    try {
      const reply = (await redis.script(script, keys, args)) as number[]
      for (let index = 0; index < waiting.length; index++) {
        const asked = { rule, key: keys[index]!, cost: costs[index]!, sentMs }
        waiting[index]!.resolve(read(reply, index, asked))
      }
    } catch (error) {
      for (const { reject } of waiting) reject(error)
    }
  }
}
