import { systemClock } from '../../../kernel/clock.ts'
import type { Clock, Timer } from '../../../kernel/clock.ts'
import type { Queryable } from '../../db/index.ts'
import type { Decision, Lease, LeasingDriver, Place, RateRule, SlotRule } from '../driver.ts'
import { gcraDecision, gcraLease } from '../gcra.ts'
import { placeDecision } from '../places.ts'
import { slide, slidingDecision, slidingWeight } from '../sliding.ts'
import {
  acquireStatement,
  giveBackStatement,
  peekStatement,
  releaseStatement,
  renewStatement,
  resetStatements,
  slidingPeekStatement,
  slidingStatement,
  sweepStatements,
  takeStatement,
} from './postgres/statements.ts'

export interface PostgresOptions {
  readonly clock?: Clock
  /** How often rows that say nothing any more are deleted, in milliseconds; default 60,000. */
  readonly sweepMs?: number
}

/** Rows deleted by one statement; as many as that mean that there are more. */
const sweepRows = 5000

interface TakenRow {
  readonly granted: number
  readonly ahead: number
  readonly now: string
}

/** Counts in unlogged tables of PostgreSQL, each decision in one statement, by the clock of the server. */
export function postgres(db: Queryable, options: PostgresOptions = {}): LeasingDriver {
  return new PostgresRatelimit(db, options)
}

class PostgresRatelimit implements LeasingDriver {
  readonly name = 'postgres'
  readonly capabilities = { shared: true, synchronous: false }
  readonly #db: Queryable
  readonly #clock: Clock
  readonly #sweepMs: number
  #timer: Timer | undefined
  #sweeping: Promise<void> | undefined

  constructor(db: Queryable, { clock = systemClock, sweepMs = 60_000 }: PostgresOptions) {
    this.#db = db
    this.#clock = clock
    this.#sweepMs = sweepMs
  }

  async take(rule: RateRule, key: string, cost: number): Promise<Decision> {
    if (rule.algorithm === 'sliding') return this.#slidingTake(rule, key, cost)
    const row = await this.#take(rule, key, cost, cost, cost)
    if (row !== undefined && row.granted > 0) return gcraDecision(rule, true, cost, row.ahead / 4)
    // A refusal tells what was committed when the statement began (nothing, of a new key): too little, if others came.
    const least = rule.depthUs - cost * rule.intervalUs + 0.25
    return gcraDecision(rule, false, cost, Math.max(least, (row?.ahead ?? 0) / 4))
  }

  async peek(rule: RateRule, key: string): Promise<Decision> {
    if (rule.algorithm === 'sliding') return this.#slidingPeek(rule, key)
    const { rows } = await this.#db.query<{ ahead: number }>(peekStatement, [stored(rule, key), rule.depthUs * 4])
    const ahead = (rows[0]?.ahead ?? 0) / 4
    return gcraDecision(rule, ahead + rule.intervalUs <= rule.depthUs, 1, ahead)
  }

  async reset(rule: RateRule, key: string): Promise<void> {
    await this.#db.query(resetStatements[rule.algorithm], [stored(rule, key)])
  }

  async lease(rule: RateRule, key: string, need: number, want: number): Promise<Lease> {
    const row = await this.#take(rule, key, need, want, 1)
    return row === undefined
      ? gcraLease(rule, 0, rule.depthUs, '0')
      : gcraLease(rule, row.granted, row.ahead / 4, row.now)
  }

  async giveBack(rule: RateRule, key: string, tokens: number, stamp: string, lifeMs: number): Promise<void> {
    await this.#db.query(giveBackStatement, [stored(rule, key), tokens * rule.intervalUs * 4, stamp, lifeMs * 4000])
  }

  async acquire(rule: SlotRule, key: string, holder: string): Promise<Decision> {
    const { rows } = await this.#db.query<{ allowed: boolean; held: number; reset: number | null }>(acquireStatement, [
      stored(rule, key),
      holder,
      rule.leaseMs,
      rule.limit,
    ])
    const row = rows[0]
    return row?.allowed === true
      ? placeDecision(rule, true, row.held, row.reset ?? 0)
      : placeDecision(rule, false, rule.limit, row?.reset ?? 0)
  }

  async renew(rule: SlotRule, places: readonly Place[]): Promise<boolean[]> {
    const still = new Set<string>()
    for (const [key, held] of Map.groupBy(places, (place) => place.key)) {
      const holders = held.map(({ holder }) => holder)
      const values = [stored(rule, key), holders, rule.leaseMs]
      const { rows } = await this.#db.query<{ held: string[] }>(renewStatement, values)
      for (const holder of rows[0]?.held ?? []) still.add(holder)
    }
    return places.map(({ holder }) => still.has(holder))
  }

  async release(rule: SlotRule, key: string, holder: string): Promise<void> {
    await this.#db.query(releaseStatement, [stored(rule, key), holder])
  }

  start(): void {
    this.#timer ??= this.#clock.every(this.#sweepMs, () => {
      this.#sweeping ??= this.#sweep().finally(() => (this.#sweeping = undefined))
    })
  }

  async close(): Promise<void> {
    // The pool is closed by who opened it.
    this.#timer?.cancel()
    this.#timer = undefined
    await this.#sweeping
  }

  async #take(rule: RateRule, key: string, need: number, want: number, least: number): Promise<TakenRow | undefined> {
    const values = [stored(rule, key), need, rule.intervalUs * 4, rule.depthUs * 4, want, least]
    return (await this.#db.query<TakenRow>(takeStatement, values)).rows[0]
  }

  async #slidingTake(rule: RateRule, key: string, cost: number): Promise<Decision> {
    const { rows } = await this.#db.query<{ allowed: boolean; spent: number; before: number; elapsed: number }>(
      slidingStatement,
      [stored(rule, key), rule.windowMs, rule.limit, cost],
    )
    const { allowed, spent, before, elapsed } = rows[0] ?? { allowed: false, spent: 0, before: 0, elapsed: 0 }
    const windows = slide(rule, { spent, before, elapsedMs: Math.max(0, elapsed) })
    if (allowed) return slidingDecision(rule, true, cost, windows)
    // As with gcra, a refusal may tell too little.
    const faded = slidingWeight(rule, { ...windows, spent: 0 })
    const least = Math.floor(rule.limit - cost - faded) + 1
    return slidingDecision(rule, false, cost, { ...windows, spent: Math.max(least, windows.spent) })
  }

  async #slidingPeek(rule: RateRule, key: string): Promise<Decision> {
    const { rows } = await this.#db.query<{ spent: number; before: number; elapsed: number }>(slidingPeekStatement, [
      stored(rule, key),
      rule.windowMs,
    ])
    const { spent, before, elapsed } = rows[0] ?? { spent: 0, before: 0, elapsed: 0 }
    const windows = slide(rule, { spent, before, elapsedMs: Math.max(0, elapsed) })
    return slidingDecision(rule, slidingWeight(rule, windows) + 1 <= rule.limit, 1, windows)
  }

  /** What is left over is swept the next time. */
  async #sweep(): Promise<void> {
    try {
      for (const statement of sweepStatements) {
        for (;;) {
          const { rowCount } = await this.#db.query(statement)
          if ((rowCount ?? 0) < sweepRows) break
        }
      }
    } catch {
      // A database that is away has nothing to sweep.
    }
  }
}

function stored(rule: { readonly name: string }, key: string): string {
  // PostgreSQL keeps no NUL in text.
  return `${rule.name}:${key.replaceAll('\0', '\\0')}`
}
