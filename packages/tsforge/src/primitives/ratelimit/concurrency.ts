import type { Timer } from '../../kernel/clock.ts'
import { uuidv7 } from '../../kernel/ids.ts'
import type { CounterSeries } from '../../kernel/metrics.ts'
import type { Decision, RatelimitDriver, SlotRule } from './driver.ts'
import { refusedChannel } from './events.ts'
import { storedKey } from './key.ts'
import { lostDecision } from './limit.ts'
import type { ConcurrencyLimit, LossPolicy, Slot } from './ratelimit.ts'
import type { Store } from './store.ts'

interface Held {
  readonly key: string
  readonly holder: string
  /** Who gave the place: the store, or memory while the store was lost. */
  readonly driver: RatelimitDriver
}

export class SlotLimit implements ConcurrencyLimit {
  readonly rule: SlotRule
  readonly whenLost: LossPolicy
  readonly #store: Store
  readonly #share: SlotRule
  readonly #held = new Map<string, Held>()
  readonly #allowed: CounterSeries
  readonly #refused: CounterSeries
  readonly #lost: CounterSeries
  #renewal: Timer | undefined

  constructor(store: Store, rule: SlotRule, whenLost: LossPolicy) {
    this.#store = store
    this.rule = rule
    this.whenLost = whenLost
    this.#share = { ...rule, limit: Math.max(1, Math.floor(rule.limit / store.replicas)) }
    this.#allowed = store.decisions.labels({ limit: rule.name, result: 'allowed' })
    this.#refused = store.decisions.labels({ limit: rule.name, result: 'refused' })
    this.#lost = store.losses.labels({ limit: rule.name, policy: whenLost })
  }

  acquire(key: string): Slot | Promise<Slot> {
    const held: Held = { key: storedKey(key), holder: uuidv7(), driver: this.#store.driver }
    const { guard, driver } = this.#store
    if (guard.lost) {
      if (guard.retries) guard.probe(() => this.#tryPlace(held))
      return this.#byPolicy(key, held)
    }
    let answer: Decision | Promise<Decision>
    try {
      answer = driver.acquire(this.rule, held.key, held.holder)
    } catch (error) {
      guard.fail(error)
      return this.#byPolicy(key, held)
    }
    if (!(answer instanceof Promise)) return this.#slot(key, held, answer)
    let abandoned = false
    answer.then(
      // Nobody waits for the place any more.
      (decision) => {
        if (abandoned && decision.allowed) void this.#free(held)
      },
      () => {},
    )
    return guard.within(
      answer,
      (decision) => this.#slot(key, held, decision),
      () => {
        abandoned = true
        return this.#byPolicy(key, held)
      },
    )
  }

  /** Frees everything that is held. */
  async close(): Promise<void> {
    this.#renewal?.cancel()
    const held = [...this.#held.values()]
    this.#held.clear()
    await Promise.all(held.map((place) => this.#free(place)))
  }

  #byPolicy(key: string, held: Held): Slot {
    this.#lost.add()
    if (this.whenLost !== 'local')
      return this.#slot(key, undefined, lostDecision(this.rule.limit, this.whenLost === 'open'))
    const { local } = this.#store
    const answer = local.acquire(this.#share, held.key, held.holder) as Decision
    return this.#slot(key, { ...held, driver: local }, { ...answer, limit: this.rule.limit, lost: true })
  }

  #slot(key: string, held: Held | undefined, decision: Decision): Slot {
    const { allowed, retryAfterMs, lost } = decision
    if (!allowed) {
      this.#refused.add()
      const policy = lost ? this.whenLost : undefined
      if (refusedChannel.hasSubscribers) {
        refusedChannel.publish({ limit: this.rule.name, key, retryAfterMs, policy })
      }
      return { ...decision, release: nothing }
    }
    this.#allowed.add()
    if (held === undefined) return { ...decision, release: nothing }
    this.#held.set(held.holder, held)
    this.#renewal ??= this.#store.clock.every(this.rule.leaseMs / 3, () => void this.#renew())
    return {
      ...decision,
      release: () => {
        if (this.#held.delete(held.holder)) void this.#free(held)
      },
    }
  }

  /** A place that cannot be given back is free after its lease. */
  async #free({ driver, key, holder }: Held): Promise<void> {
    try {
      await driver.release(this.rule, key, holder)
    } catch {
      // As above.
    }
  }

  async #tryPlace(held: Held): Promise<void> {
    const { allowed } = await held.driver.acquire(this.rule, held.key, held.holder)
    if (allowed) await held.driver.release(this.rule, held.key, held.holder)
  }

  async #renew(): Promise<void> {
    for (const driver of [this.#store.driver, this.#store.local]) {
      const places = [...this.#held.values()].filter((held) => held.driver === driver)
      if (places.length > 0) await this.#renewAll(driver, places)
    }
  }

  async #renewAll(driver: RatelimitDriver, places: readonly Held[]): Promise<void> {
    try {
      const still = await driver.renew(this.rule, places)
      for (const [index, { key, holder }] of places.entries()) {
        // The store has forgotten the place (a restart, a pause of ours); whoever came meanwhile, it is in use.
        if (still[index] === false && this.#held.has(holder)) await driver.acquire(this.rule, key, holder)
      }
    } catch {
      // The next turn tries again; three come in a lease.
    }
  }
}

function nothing(): void {
  // A refusal holds no place.
}
