import { isDeepStrictEqual } from 'node:util'
import { SlotLimit } from './concurrency.ts'
import type { RateRule, RatelimitDriver, SlotRule } from './driver.ts'
import { RateLimit } from './limit.ts'
import type {
  ConcurrencyLimit,
  ConcurrencySpec,
  Limit,
  LimitSpec,
  LossPolicy,
  Ratelimit,
  RatelimitSettings,
} from './ratelimit.ts'
import { misdeclared, rateRule, slotRule } from './rules.ts'
import { Store } from './store.ts'

/** Limits over a store of counts: `createRatelimit(memory())`. Who made the driver's connection closes that. */
export function createRatelimit(driver: RatelimitDriver, settings: RatelimitSettings = {}): Ratelimit {
  return new Limits(new Store(driver, settings))
}

class Limits implements Ratelimit {
  readonly #store: Store
  readonly #limits = new Map<string, RateLimit | SlotLimit>()

  constructor(store: Store) {
    this.#store = store
  }

  get lost(): boolean {
    return this.#store.guard.lost
  }

  limit(spec: LimitSpec): Limit {
    const { whenLost = 'local' } = spec
    checkPolicy(spec.name, whenLost)
    return this.#declare(new RateLimit(this.#store, rateRule(spec), whenLost))
  }

  concurrency(spec: ConcurrencySpec): ConcurrencyLimit {
    const { whenLost = 'local' } = spec
    checkPolicy(spec.name, whenLost)
    return this.#declare(new SlotLimit(this.#store, slotRule(spec), whenLost))
  }

  async start(): Promise<void> {
    await this.#store.local.start?.()
    await this.#store.driver.start?.()
  }

  async close(): Promise<void> {
    for (const limit of this.#limits.values()) if (limit instanceof SlotLimit) await limit.close()
    await this.#store.local.close()
    await this.#store.driver.close()
  }

  #declare<L extends RateLimit | SlotLimit>(limit: L): L {
    const { name } = limit.rule
    const known = this.#limits.get(name)
    if (known === undefined) this.#limits.set(name, limit)
    else if (!same(known, limit)) throw misdeclared(name, 'it has been declared otherwise before')
    return (known as L | undefined) ?? limit
  }
}

interface Declared {
  readonly rule: RateRule | SlotRule
  readonly whenLost: LossPolicy
}

function same(one: Declared, other: Declared): boolean {
  return isDeepStrictEqual(one.rule, other.rule) && one.whenLost === other.whenLost
}

function checkPolicy(name: string, policy: LossPolicy): void {
  if (policy !== 'open' && policy !== 'closed' && policy !== 'local') {
    throw misdeclared(name, 'whenLost must be open, closed or local')
  }
}
