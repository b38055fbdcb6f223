import type { Clock } from '../../../../kernel/clock.ts'
import type { Decision, Lease, LeasingDriver, RateRule } from '../../driver.ts'
import type { Terms } from './terms.ts'

interface Waiting {
  readonly cost: number
  readonly resolve: (decision: Decision) => void
  readonly reject: (cause: unknown) => void
}

/** A reset in another process is noticed at the latest after so long. */
const longestRefusalMs = 1000

/** What this process holds of one key. */
export class Bucket {
  readonly #base: LeasingDriver
  readonly #clock: Clock
  readonly #rule: RateRule
  readonly #terms: Terms
  readonly #key: string
  #tokens = 0
  #endsMs = 0
  #stamp = '0'
  /** Tokens to ask for: more each time that all were used within their life, half when some were not. */
  #size = 1
  /** What the store had left at the last answer, and when (by our clock) it would have had everything. */
  #remaining = 0
  #resetAtMs = 0
  #refusedUntilMs = 0
  /** What this process alone has used, counted as the store counts everybody: ahead of now by so much. */
  #ownMs = 0
  #waiting: Waiting[] = []
  #asking: Promise<void> | undefined

  constructor(base: LeasingDriver, clock: Clock, rule: RateRule, terms: Terms, key: string) {
    this.#base = base
    this.#clock = clock
    this.#rule = rule
    this.#terms = terms
    this.#key = key
  }

  take(cost: number): Decision | Promise<Decision> {
    const nowMs = this.#clock.monotonic()
    // Who waits already comes first.
    if (this.#waiting.length === 0) {
      if (this.#tokens >= cost && nowMs < this.#endsMs) {
        this.#tokens -= cost
        return this.#decision(true, cost, nowMs)
      }
      if (nowMs < this.#refusedUntilMs) return this.#decision(false, cost, nowMs)
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ cost, resolve, reject })
      this.#asking ??= this.#ask()
    })
  }

  held(): number {
    return this.#clock.monotonic() < this.#endsMs ? this.#tokens : 0
  }

  forget(): void {
    this.#tokens = this.#refusedUntilMs = 0
  }

  /** Gives back what is held. */
  async close(): Promise<void> {
    await this.#asking
    const tokens = this.held()
    this.#tokens = 0
    if (tokens > 0) await this.#base.giveBack(this.#terms.rule, this.#key, tokens, this.#stamp, this.#terms.lifeMs)
  }

  /** One question at a time; who comes meanwhile is served by the next. Never rejects. */
  async #ask(): Promise<void> {
    // What is called for in one go is asked for together.
    await Promise.resolve()
    while (this.#waiting.length > 0) {
      try {
        await this.#next()
      } catch (error) {
        const failed = this.#waiting
        this.#waiting = []
        for (const { reject } of failed) reject(error)
      }
    }
    this.#asking = undefined
  }

  /** Serves all that wait at this moment. */
  async #next(): Promise<void> {
    const nowMs = this.#clock.monotonic()
    const count = this.#waiting.length
    let need = 0
    for (const { cost } of this.#waiting) need += cost
    const left = this.held()
    if (need <= left || nowMs < this.#refusedUntilMs) {
      this.#tokens = left
      return this.#serve(count)
    }
    this.#resize(nowMs)
    const missing = need - left
    const lease = await this.#base.lease(this.#terms.rule, this.#key, missing, Math.max(this.#size, missing))
    this.#learn(lease, nowMs)
    this.#tokens = lease.granted + Math.min(left, this.held())
    // From before the question: the store has given them later than that.
    this.#endsMs = nowMs + this.#terms.lifeMs
    this.#stamp = lease.stamp
    this.#serve(count)
    // What is left of an older lease must not live as long as this one.
    this.#tokens = Math.min(this.#tokens, lease.granted)
  }

  #resize(nowMs: number): void {
    const { cap } = this.#terms
    if (nowMs < this.#endsMs) this.#size = Math.min(cap, this.#size + Math.max(1, cap >> 3))
    else if (this.#tokens > 0) this.#size = Math.max(1, this.#size >> 1)
  }

  #learn(lease: Lease, askedMs: number): void {
    const { rule, lifeMs } = this.#terms
    this.#remaining = lease.remaining
    this.#resetAtMs = askedMs + lease.resetMs
    this.#ownMs = Math.max(this.#ownMs, askedMs) + (lease.granted * rule.intervalUs) / 1000
    if (lease.remaining > 0) return
    this.#size = 1
    // At the limit who has used more waits longer for the next token, so that those get it who have used less.
    const share = Math.min(1, ((this.#ownMs - askedMs) * 1000) / rule.depthUs)
    this.#refusedUntilMs = askedMs + Math.min(lease.retryAfterMs, longestRefusalMs) + (share * lifeMs) / 2
  }

  /** Answers the first `count` of those that wait, in their order. */
  #serve(count: number): void {
    const served = this.#waiting.splice(0, count)
    const nowMs = this.#clock.monotonic()
    for (const { cost, resolve } of served) {
      const allowed = cost <= this.#tokens
      if (allowed) this.#tokens -= cost
      resolve(this.#decision(allowed, cost, nowMs))
    }
  }

  #decision(allowed: boolean, cost: number, nowMs: number): Decision {
    const { intervalUs, burst } = this.#rule
    const first = this.#remaining > 0 ? 0 : Math.max(0, this.#refusedUntilMs - nowMs)
    const further = cost - Math.max(1, this.#remaining)
    return {
      allowed,
      limit: burst,
      remaining: this.#remaining + this.#tokens,
      resetMs: Math.max(0, Math.ceil(this.#resetAtMs - nowMs)),
      retryAfterMs: allowed ? 0 : Math.max(1, Math.ceil(first + (Math.max(0, further) * intervalUs) / 1000)),
      lost: false,
    }
  }
}
