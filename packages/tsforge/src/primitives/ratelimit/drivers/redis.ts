import { BoundedMap } from '../../../kernel/bounded-map.ts'
import { systemClock } from '../../../kernel/clock.ts'
import type { Clock } from '../../../kernel/clock.ts'
import type { Redis } from '../../redis/index.ts'
import type { Decision, Lease, LeasingDriver, Place, RateRule, SlotRule } from '../driver.ts'
import { gcraDecision, gcraLease } from '../gcra.ts'
import { placeDecision } from '../places.ts'
import { slidingDecision } from '../sliding.ts'
import { Batches } from './redis/batches.ts'
import {
  acquireScript,
  giveBackScript,
  leaseScript,
  peekScript,
  renewScript,
  slidingScript,
  takeScript,
} from './redis/scripts.ts'

export interface RedisOptions {
  /** Before every key, e.g. `myapp:`; default none. All keys of ours begin `forge:ratelimit:` behind it. */
  readonly prefix?: string
  readonly clock?: Clock
  /** Refused keys that are not asked about again until they could succeed, at most 1 s; default 10,000, 0 for none. */
  readonly refusals?: number
}

/** A reset in another process is noticed at the latest after so long. */
const longestRefusalMs = 1000

interface Refusal {
  readonly cost: number
  readonly untilMs: number
  readonly decision: Decision
}

/**
 * Counts in Redis (or Valkey), each decision in a script there, by the clock of the server. A refused key is refused in
 * this process until it could succeed, without asking.
 */
export function redis(connection: Redis, options: RedisOptions = {}): LeasingDriver {
  return new RedisRatelimit(connection, options)
}

class RedisRatelimit implements LeasingDriver {
  readonly name = 'redis'
  readonly capabilities = { shared: true, synchronous: false }
  readonly #redis: Redis
  readonly #prefix: string
  readonly #clock: Clock
  readonly #refusals: BoundedMap<Refusal>
  readonly #takes: Batches<Decision>
  readonly #leases: Batches<Lease>

  constructor(connection: Redis, { prefix = '', clock = systemClock, refusals = 10_000 }: RedisOptions) {
    this.#redis = connection
    this.#prefix = `${prefix}forge:ratelimit:`
    this.#clock = clock
    this.#refusals = new BoundedMap({ entries: refusals })
    this.#takes = new Batches({
      redis: connection,
      clock,
      script: takeScript,
      wants: false,
      read: (reply, index, { rule, key, cost, sentMs }) => {
        const ahead = reply[index]!
        if (ahead >= 0) return gcraDecision(rule, true, cost, ahead)
        return this.#remember(key, cost, sentMs, gcraDecision(rule, false, cost, -ahead))
      },
    })
    this.#leases = new Batches({
      redis: connection,
      clock,
      script: leaseScript,
      wants: true,
      read: (reply, index, { rule }) =>
        gcraLease(rule, reply[2 * index + 1]!, reply[2 * index + 2]!, String(reply[0]!)),
    })
  }

  take(rule: RateRule, key: string, cost: number): Decision | Promise<Decision> {
    const id = this.#key(rule, key)
    const known = this.#refusals.size > 0 ? this.#refused(id, cost) : undefined
    if (known !== undefined) return known
    return rule.algorithm === 'gcra' ? this.#takes.ask(rule, id, cost) : this.#sliding(rule, id, cost)
  }

  async peek(rule: RateRule, key: string): Promise<Decision> {
    const id = this.#key(rule, key)
    if (rule.algorithm === 'sliding') return this.#sliding(rule, id, 0)
    const ahead = (await this.#redis.script(peekScript, [id], [String(rule.depthUs)])) as number
    return gcraDecision(rule, ahead + rule.intervalUs <= rule.depthUs, 1, ahead)
  }

  async reset(rule: RateRule, key: string): Promise<void> {
    const id = this.#key(rule, key)
    this.#refusals.delete(id)
    await this.#redis.command(['DEL', id])
    // A call that was refused meanwhile.
    this.#refusals.delete(id)
  }

  lease(rule: RateRule, key: string, need: number, want: number): Promise<Lease> {
    return this.#leases.ask(rule, this.#key(rule, key), need, want)
  }

  async giveBack(rule: RateRule, key: string, tokens: number, stamp: string, lifeMs: number): Promise<void> {
    const args = [String(tokens * rule.intervalUs), stamp, String(lifeMs * 1000)]
    await this.#redis.script(giveBackScript, [this.#key(rule, key)], args)
  }

  async acquire(rule: SlotRule, key: string, holder: string): Promise<Decision> {
    const args = [String(rule.leaseMs), String(rule.limit), holder]
    const [allowed, held, resetMs] = (await this.#redis.script(acquireScript, [this.#key(rule, key)], args)) as [
      number,
      number,
      number,
    ]
    return placeDecision(rule, allowed === 1, held, resetMs)
  }

  async renew(rule: SlotRule, places: readonly Place[]): Promise<boolean[]> {
    const byKey = Map.groupBy(places, ({ key }) => key)
    const still = new Map<string, boolean>()
    await Promise.all(
      [...byKey].map(async ([key, held]) => {
        const holders = held.map(({ holder }) => holder)
        const args = [String(rule.leaseMs), ...holders]
        const reply = (await this.#redis.script(renewScript, [this.#key(rule, key)], args)) as number[]
        for (const [index, holder] of holders.entries()) still.set(holder, reply[index] === 1)
      }),
    )
    return places.map(({ holder }) => still.get(holder) === true)
  }

  async release(rule: SlotRule, key: string, holder: string): Promise<void> {
    await this.#redis.command(['ZREM', this.#key(rule, key), holder])
  }

  close(): void {
    // The connection is closed by who created it.
    this.#refusals.clear()
  }

  async #sliding(rule: RateRule, id: string, cost: number): Promise<Decision> {
    const args = [String(rule.windowMs), String(rule.limit), String(cost)]
    const sentMs = this.#clock.monotonic()
    const reply = (await this.#redis.script(slidingScript, [id], args)) as [number, number, number, number]
    const [allowed, spent, before, elapsedMs] = reply
    const decision = slidingDecision(rule, allowed === 1, Math.max(1, cost), { spent, before, elapsedMs })
    return allowed === 1 || cost === 0 ? decision : this.#remember(id, cost, sentMs, decision)
  }

  #key(rule: { readonly name: string }, key: string): string {
    return `${this.#prefix}${rule.name}:${key}`
  }

  /** From when it was asked: the wait is never longer than the server said. */
  #remember(id: string, cost: number, sentMs: number, decision: Decision): Decision {
    const untilMs = sentMs + Math.min(decision.retryAfterMs, longestRefusalMs)
    this.#refusals.set(id, { cost, untilMs, decision })
    return decision
  }

  /** The answer, when a call of the same cost was refused and could not succeed yet. */
  #refused(id: string, cost: number): Decision | undefined {
    const known = this.#refusals.get(id)
    if (known?.cost !== cost) return undefined
    const leftMs = known.untilMs - this.#clock.monotonic()
    if (leftMs <= 0) {
      this.#refusals.delete(id)
      return undefined
    }
    const { decision } = known
    const passedMs = Math.min(decision.retryAfterMs, longestRefusalMs) - leftMs
    return {
      ...decision,
      resetMs: Math.max(1, Math.ceil(decision.resetMs - passedMs)),
      retryAfterMs: Math.max(1, Math.ceil(decision.retryAfterMs - passedMs)),
    }
  }
}
