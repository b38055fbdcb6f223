import { BoundedMap } from '../../../kernel/bounded-map.ts'
import { systemClock } from '../../../kernel/clock.ts'
import type { Clock } from '../../../kernel/clock.ts'
import type { Decision, LeasingDriver, Place, RatelimitDriver, RateRule, SlotRule } from '../driver.ts'
import { Bucket } from './leased/bucket.ts'
import { termsOf } from './leased/terms.ts'
import type { Terms } from './leased/terms.ts'

export interface LeasedOptions {
  readonly clock?: Clock
  /** Keys of which tokens may be held, for each limit; default 100,000. */
  readonly keys?: number
}

/**
 * Takes tokens of the store ahead of their use, so that most calls are answered at once, in memory. Never more than the
 * limit allows; in return a fresh key has about a fiftieth less to spend at once, and what a process holds when it dies
 * comes back with time only. Small and sliding limits, and places, are decided by the store itself.
 */
export function leased(store: LeasingDriver, options: LeasedOptions = {}): RatelimitDriver {
  return new Leased(store, options)
}

interface Leases {
  readonly terms: Terms | undefined
  readonly buckets: BoundedMap<Bucket>
}

class Leased implements RatelimitDriver {
  readonly name: string
  readonly capabilities = { shared: true, synchronous: true }
  readonly #store: LeasingDriver
  readonly #clock: Clock
  readonly #keys: number
  readonly #leases = new Map<RateRule, Leases>()

  constructor(store: LeasingDriver, { clock = systemClock, keys = 100_000 }: LeasedOptions) {
    this.name = `leased ${store.name}`
    this.#store = store
    this.#clock = clock
    this.#keys = keys
  }

  take(rule: RateRule, key: string, cost: number): Decision | Promise<Decision> {
    const { terms, buckets } = this.#of(rule)
    if (terms === undefined || cost > terms.rule.burst) return this.#store.take(rule, key, cost)
    let bucket = buckets.get(key)
    if (bucket === undefined) {
      buckets.set(key, (bucket = new Bucket(this.#store, this.#clock, rule, terms, key)))
    }
    return bucket.take(cost)
  }

  async peek(rule: RateRule, key: string): Promise<Decision> {
    const { terms, buckets } = this.#of(rule)
    const decision = await this.#store.peek(terms?.rule ?? rule, key)
    const held = buckets.get(key)?.held() ?? 0
    if (terms === undefined) return decision
    const { allowed, remaining, retryAfterMs } = decision
    return {
      ...decision,
      limit: rule.burst,
      allowed: allowed || held > 0,
      remaining: remaining + held,
      retryAfterMs: held > 0 ? 0 : retryAfterMs,
    }
  }

  async reset(rule: RateRule, key: string): Promise<void> {
    const { buckets } = this.#of(rule)
    buckets.get(key)?.forget()
    await this.#store.reset(rule, key)
    // What was leased between the two.
    buckets.get(key)?.forget()
  }

  acquire(rule: SlotRule, key: string, holder: string): Decision | Promise<Decision> {
    return this.#store.acquire(rule, key, holder)
  }

  renew(rule: SlotRule, places: readonly Place[]): readonly boolean[] | Promise<readonly boolean[]> {
    return this.#store.renew(rule, places)
  }

  release(rule: SlotRule, key: string, holder: string): void | Promise<void> {
    return this.#store.release(rule, key, holder)
  }

  start(): void | Promise<void> {
    return this.#store.start?.()
  }

  async close(): Promise<void> {
    const closing: Promise<void>[] = []
    for (const { buckets } of this.#leases.values()) for (const [, bucket] of buckets) closing.push(bucket.close())
    // What cannot be given back comes back with time.
    await Promise.allSettled(closing)
    await this.#store.close()
  }

  #of(rule: RateRule): Leases {
    let leases = this.#leases.get(rule)
    if (leases === undefined) {
      leases = { terms: termsOf(rule), buckets: new BoundedMap({ entries: this.#keys }) }
      this.#leases.set(rule, leases)
    }
    return leases
  }
}
