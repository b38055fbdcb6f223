import type { CounterSeries } from '../../kernel/metrics.ts'
import type { Decision, RateRule } from './driver.ts'
import { ratelimitErrors } from './errors.ts'
import { refusedChannel } from './events.ts'
import { storedKey } from './key.ts'
import type { Limit, LossPolicy, TakeOptions } from './ratelimit.ts'
import { shareOf } from './rules.ts'
import type { Store } from './store.ts'

/** How long callers are asked to stay away from a limit that is closed while its store is lost. */
const closedMs = 1000

export class RateLimit implements Limit {
  readonly rule: RateRule
  readonly whenLost: LossPolicy
  readonly #store: Store
  readonly #share: RateRule
  readonly #allowed: CounterSeries
  readonly #refused: CounterSeries
  readonly #lost: CounterSeries

  constructor(store: Store, rule: RateRule, whenLost: LossPolicy) {
    this.#store = store
    this.rule = rule
    this.whenLost = whenLost
    this.#share = shareOf(rule, store.replicas)
    this.#allowed = store.decisions.labels({ limit: rule.name, result: 'allowed' })
    this.#refused = store.decisions.labels({ limit: rule.name, result: 'refused' })
    this.#lost = store.losses.labels({ limit: rule.name, policy: whenLost })
  }

  take(key: string, options?: TakeOptions): Decision | Promise<Decision> {
    const cost = options?.cost ?? 1
    if (cost !== 1) this.#checkCost(cost)
    const id = storedKey(key)
    const { guard, driver } = this.#store
    if (guard.lost) {
      if (guard.retries) guard.probe(() => driver.take(this.rule, id, cost))
      return this.#told(key, this.#byPolicy(id, cost, false))
    }
    let answer: Decision | Promise<Decision>
    try {
      answer = driver.take(this.rule, id, cost)
    } catch (error) {
      guard.fail(error)
      return this.#told(key, this.#byPolicy(id, cost, false))
    }
    if (!(answer instanceof Promise)) return this.#told(key, answer)
    return guard.within(
      answer,
      (decision) => this.#told(key, decision),
      () => this.#told(key, this.#byPolicy(id, cost, false)),
    )
  }

  peek(key: string): Decision | Promise<Decision> {
    const id = storedKey(key)
    const { guard, driver } = this.#store
    const otherwise = (): Decision => this.#byPolicy(id, 1, true)
    if (guard.lost) return otherwise()
    try {
      const answer = driver.peek(this.rule, id)
      return answer instanceof Promise ? guard.within(answer, (decision) => decision, otherwise) : answer
    } catch (error) {
      guard.fail(error)
      return otherwise()
    }
  }

  reset(key: string): void | Promise<void> {
    const id = storedKey(key)
    const { guard, driver, local } = this.#store
    void local.reset(this.#share, id)
    const done = driver.reset(this.rule, id)
    if (!(done instanceof Promise)) return
    return guard
      .within(
        done,
        () => true,
        () => false,
      )
      .then((answered) => {
        if (!answered) throw ratelimitErrors.error('ratelimit.unavailable', { retryAfterMs: closedMs })
      })
  }

  #byPolicy(id: string, cost: number, peeks: boolean): Decision {
    this.#lost.add()
    const { burst } = this.rule
    if (this.whenLost === 'open') return lostDecision(burst, true)
    if (this.whenLost === 'closed') return lostDecision(burst, false)
    // What costs more than this process' share would never be let through: it spends all of the share.
    const { local } = this.#store
    const answer = peeks ? local.peek(this.#share, id) : local.take(this.#share, id, Math.min(cost, this.#share.burst))
    return { ...(answer as Decision), limit: burst, lost: true }
  }

  #told(key: string, decision: Decision): Decision {
    if (decision.allowed) this.#allowed.add()
    else {
      this.#refused.add()
      if (refusedChannel.hasSubscribers) {
        refusedChannel.publish({
          limit: this.rule.name,
          key,
          retryAfterMs: decision.retryAfterMs,
          policy: decision.lost ? this.whenLost : undefined,
        })
      }
    }
    return decision
  }

  #checkCost(cost: number): void {
    if (Number.isInteger(cost) && cost >= 1 && cost <= this.rule.burst) return
    throw ratelimitErrors.error('ratelimit.cost_invalid', { meta: { cost, limit: this.rule.burst } })
  }
}

/** What a limit says without having counted. */
export function lostDecision(limit: number, allowed: boolean): Decision {
  return {
    allowed,
    limit,
    remaining: allowed ? limit : 0,
    resetMs: allowed ? 0 : closedMs,
    retryAfterMs: allowed ? 0 : closedMs,
    lost: true,
  }
}
