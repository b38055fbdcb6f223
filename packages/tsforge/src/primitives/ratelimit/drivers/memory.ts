import { BoundedMap } from '../../../kernel/bounded-map.ts'
import { systemClock } from '../../../kernel/clock.ts'
import type { Clock, Timer } from '../../../kernel/clock.ts'
import type { Decision, Lease, LeasingDriver, Place, RateRule, SlotRule } from '../driver.ts'
import { gcraDecision, gcraLease, leaseSize } from '../gcra.ts'
import { placeDecision } from '../places.ts'
import { slide, slidingDecision, slidingWeight } from '../sliding.ts'
import type { Windows } from '../sliding.ts'

export interface MemoryOptions {
  readonly clock?: Clock
  /**
   * Keys remembered for each limit; default 100,000 (some 15 MB). Under a flood of more those that were not asked for
   * lately are forgotten, as if they had spent nothing.
   */
  readonly keys?: number
}

const sweepMs = 60_000
/** Calls that one reading of the clock may serve. */
const readings = 32

/** Counts in this process alone. Answers at once; time is the monotonic clock, so a jump of the wall clock changes nothing. */
export function memory(options: MemoryOptions = {}): LeasingDriver {
  return new MemoryDriver(options)
}

/** The moment at which all will have come back, in whole microseconds of the monotonic clock. */
interface Cell {
  untilUs: number
}

interface Counter {
  spent: number
  before: number
  beganMs: number
  /** When nothing of it counts any more. */
  goneMs: number
}

class MemoryDriver implements LeasingDriver {
  readonly name = 'memory'
  readonly capabilities = { shared: false, synchronous: true }
  readonly #clock: Clock
  readonly #keys: number
  readonly #cells = new Map<string, BoundedMap<Cell>>()
  /** Mostly it is the same limit again: spares a tenth of a call. */
  #lastRule: RateRule | undefined
  #lastCells: BoundedMap<Cell> | undefined
  readonly #counters = new Map<string, BoundedMap<Counter>>()
  /** Of each key its holders, and when their leases end. */
  readonly #places = new Map<string, BoundedMap<Map<string, number>>>()
  #sweep: Timer | undefined
  #turnUs = 0
  #readingsLeft = 0
  #forgetting = false

  constructor({ clock = systemClock, keys = 100_000 }: MemoryOptions) {
    this.#clock = clock
    this.#keys = keys
  }

  take(rule: RateRule, key: string, cost: number): Decision {
    if (rule.algorithm === 'sliding') return this.#slidingTake(rule, key, cost)
    const nowUs = this.#nowUs()
    const cell = this.#cell(rule, key, nowUs)
    const backlogUs = cell.untilUs > nowUs ? cell.untilUs - nowUs : 0
    const afterUs = backlogUs + cost * rule.intervalUs
    if (afterUs > rule.depthUs) return gcraDecision(rule, false, cost, backlogUs)
    cell.untilUs = nowUs + afterUs
    return gcraDecision(rule, true, cost, afterUs)
  }

  peek(rule: RateRule, key: string): Decision {
    if (rule.algorithm === 'sliding') {
      const windows = windowsOf(rule, this.#counters.get(rule.name)?.get(key), this.#nowMs())
      return slidingDecision(rule, slidingWeight(rule, windows) + 1 <= rule.limit, 1, windows)
    }
    const nowUs = this.#nowUs()
    const backlogUs = Math.max(0, (this.#cells.get(rule.name)?.get(key)?.untilUs ?? 0) - nowUs)
    return gcraDecision(rule, backlogUs + rule.intervalUs <= rule.depthUs, 1, backlogUs)
  }

  reset(rule: RateRule, key: string): void {
    this.#cells.get(rule.name)?.delete(key)
    this.#counters.get(rule.name)?.delete(key)
  }

  lease(rule: RateRule, key: string, need: number, want: number): Lease {
    const nowUs = this.#nowUs()
    const cell = this.#cell(rule, key, nowUs)
    const backlogUs = Math.max(0, cell.untilUs - nowUs)
    const room = Math.floor((rule.depthUs - backlogUs) / rule.intervalUs)
    const granted = leaseSize(rule, room, need, want)
    const afterUs = backlogUs + granted * rule.intervalUs
    if (granted > 0) cell.untilUs = nowUs + afterUs
    return gcraLease(rule, granted, afterUs, String(nowUs))
  }

  giveBack(rule: RateRule, key: string, tokens: number, stamp: string, lifeMs: number): void {
    const cell = this.#cells.get(rule.name)?.get(key)
    if (cell !== undefined && this.#nowUs() - Number(stamp) <= lifeMs * 1000) cell.untilUs -= tokens * rule.intervalUs
  }

  acquire(rule: SlotRule, key: string, holder: string): Decision {
    const nowMs = this.#nowMs()
    const keys = this.#of(this.#places, rule.name)
    let holders = keys.get(key)
    if (holders === undefined) keys.set(key, (holders = new Map()))
    dropExpired(holders, nowMs)
    const allowed = holders.has(holder) || holders.size < rule.limit
    if (allowed) holders.set(holder, nowMs + rule.leaseMs)
    return placeDecision(rule, allowed, holders.size, Math.max(nowMs, ...holders.values()) - nowMs)
  }

  renew(rule: SlotRule, places: readonly Place[]): boolean[] {
    const nowMs = this.#nowMs()
    return places.map(({ key, holder }) => {
      const holders = this.#places.get(rule.name)?.get(key)
      const held = (holders?.get(holder) ?? Number.NEGATIVE_INFINITY) > nowMs
      if (held) holders?.set(holder, nowMs + rule.leaseMs)
      return held
    })
  }

  release(rule: SlotRule, key: string, holder: string): void {
    const keys = this.#places.get(rule.name)
    const holders = keys?.get(key)
    holders?.delete(holder)
    if (holders?.size === 0) keys?.delete(key)
  }

  start(): void {
    this.#sweep ??= this.#clock.every(sweepMs, () => this.#forgetExpired())
  }

  close(): void {
    this.#sweep?.cancel()
    this.#sweep = undefined
  }

  #slidingTake(rule: RateRule, key: string, cost: number): Decision {
    const nowMs = this.#nowMs()
    const counters = this.#of(this.#counters, rule.name)
    const counter = counters.get(key)
    const windows = windowsOf(rule, counter, nowMs)
    if (slidingWeight(rule, windows) + cost > rule.limit) return slidingDecision(rule, false, cost, windows)
    const beganMs = nowMs - windows.elapsedMs
    const after = { ...windows, spent: windows.spent + cost }
    const next = { spent: after.spent, before: after.before, beganMs, goneMs: beganMs + 2 * rule.windowMs }
    if (counter === undefined) counters.set(key, next)
    else Object.assign(counter, next)
    return slidingDecision(rule, true, cost, after)
  }

  #cell(rule: RateRule, key: string, nowUs: number): Cell {
    if (rule !== this.#lastRule) {
      this.#lastRule = rule
      this.#lastCells = this.#of(this.#cells, rule.name)
    }
    const cells = this.#lastCells!
    let cell = cells.get(key)
    if (cell === undefined) cells.set(key, (cell = { untilUs: nowUs }))
    return cell
  }

  #of<V>(stores: Map<string, BoundedMap<V>>, name: string): BoundedMap<V> {
    let store = stores.get(name)
    if (store === undefined) stores.set(name, (store = new BoundedMap<V>({ entries: this.#keys })))
    return store
  }

  /**
   * Reading the clock is half of a call. One reading serves a turn of the event loop, for at most `readings` calls: an
   * older time is only stricter, and whoever waits in a loop without letting go of the turn gets on all the same.
   */
  #nowUs(): number {
    if (this.#readingsLeft-- > 0) return this.#turnUs
    if (!this.#forgetting) {
      this.#forgetting = true
      setImmediate(this.#forgetTime)
    }
    this.#readingsLeft = readings
    return (this.#turnUs = Math.floor(this.#clock.monotonic() * 1000))
  }

  readonly #forgetTime = (): void => {
    this.#forgetting = false
    this.#readingsLeft = 0
  }

  #nowMs(): number {
    return Math.floor(this.#clock.monotonic())
  }

  #forgetExpired(): void {
    const nowMs = this.#nowMs()
    const nowUs = this.#nowUs()
    for (const cells of this.#cells.values()) {
      for (const [key, { untilUs }] of cells) if (untilUs <= nowUs) cells.delete(key)
    }
    for (const counters of this.#counters.values()) {
      for (const [key, { goneMs }] of counters) if (goneMs <= nowMs) counters.delete(key)
    }
    for (const keys of this.#places.values()) {
      for (const [key, holders] of keys) {
        dropExpired(holders, nowMs)
        if (holders.size === 0) keys.delete(key)
      }
    }
  }
}

/** Windows are aligned: a key that rests does not begin one of its own. */
function windowsOf(rule: RateRule, counter: Counter | undefined, nowMs: number): Windows {
  if (counter === undefined) return { spent: 0, before: 0, elapsedMs: nowMs % rule.windowMs }
  return slide(rule, { spent: counter.spent, before: counter.before, elapsedMs: nowMs - counter.beganMs })
}

function dropExpired(holders: Map<string, number>, nowMs: number): void {
  for (const [holder, endsMs] of holders) if (endsMs <= nowMs) holders.delete(holder)
}
