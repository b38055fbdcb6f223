import { BoundedMap } from '../../kernel/bounded-map.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Awaitable, CacheDriver, CacheEntry } from './driver.ts'
import { Loads } from './loads.ts'
import type { Meter } from './meter.ts'

/** Where an entry lies. */
export interface Place {
  readonly namespace: string
  readonly prefix: string
  readonly key: string
}

/** What all namespaces of one cache share. */
export class Core {
  readonly driver: CacheDriver
  readonly clock: Clock
  readonly meter: Meter
  /** 0 to 1, for jitter. */
  readonly random: () => number
  readonly loads: Loads = new Loads()
  /** Until when no load is tried again, by address. */
  readonly backoffs: BoundedMap<number> = new BoundedMap<number>({ entries: 10_000 })
  readonly #looks = new Map<string, Promise<CacheEntry | undefined>>()

  constructor(driver: CacheDriver, clock: Clock, meter: Meter, random: () => number) {
    this.driver = driver
    this.clock = clock
    this.meter = meter
    this.random = random
  }

  /** What the store has, in one question for all who ask at the same time. A store that fails has nothing. */
  look(place: Place): Awaitable<CacheEntry | undefined> {
    const { prefix, key } = place
    const address = prefix + key
    const asked = this.#looks.get(address)
    if (asked !== undefined) return asked
    const found = this.ask(place)
    if (!(found instanceof Promise)) return found
    this.#looks.set(address, found)
    return found.finally(() => this.#looks.delete(address))
  }

  ask({ namespace, prefix, key }: Place): Awaitable<CacheEntry | undefined> {
    return this.attempt(namespace, 'get', () => this.driver.get(prefix, key))
  }

  /** `work`, or undefined when it fails; counted. */
  attempt<T>(namespace: string | undefined, operation: string, work: () => Awaitable<T>): Awaitable<T | undefined> {
    const failed = (error: unknown): undefined => this.meter.failed(namespace, operation, error) as undefined
    try {
      const result = work()
      return result instanceof Promise ? result.catch(failed) : result
    } catch (error) {
      return failed(error)
    }
  }

  /** A life of `ms` shortened by a random share of up to `jitter`. */
  life(ms: number, jitter: number): number {
    return jitter === 0 ? ms : ms * (1 - jitter * this.random())
  }
}
