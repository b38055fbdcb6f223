import { createFakeClock } from '../../../testing/clock.ts'
import type { FakeClock } from '../../../testing/clock.ts'
import type { CacheSettings, RootCache } from '../cache.ts'
import { createCache } from '../create-cache.ts'
import type { CacheDriver, CacheDriverParts, CacheEntry, NearCacheDriver } from '../driver.ts'
import { memory } from '../drivers/memory.ts'
import { failureChannel } from '../events.ts'
import type { CacheFailureEvent } from '../events.ts'

/** A cache in memory on a clock of its own, without jitter. */
export function memoryCache(settings: CacheSettings = {}): { cache: RootCache; clock: FakeClock } {
  const clock = createFakeClock()
  return { cache: createCache(memory(), { clock, jitter: 0, ttl: '1m', ...settings }), clock }
}

/** A store elsewhere, as the facade sees it: bytes, promises, and faults at will. */
export class FarDriver implements CacheDriver {
  readonly name = 'far'
  readonly capabilities = { shared: true, references: false, lock: false } as const
  /** Every call fails with it. */
  fault: Error | undefined
  /** Every call waits for it. */
  gate: Promise<void> | undefined
  calls: string[] = []
  readonly #inner: NearCacheDriver = memory()
  #parts: CacheDriverParts | undefined

  start(parts: CacheDriverParts): void {
    this.#parts = parts
    this.#inner.start(parts)
  }
  close(): void {
    this.#inner.close()
  }
  get(prefix: string, key: string): Promise<CacheEntry | undefined> {
    return this.#call('get', () => this.#out(this.#inner.get(prefix, key)))
  }
  getMany(prefix: string, keys: readonly string[]): Promise<(CacheEntry | undefined)[]> {
    return this.#call('getMany', () => this.#inner.getMany(prefix, keys).map((entry) => this.#out(entry)))
  }
  set(prefix: string, key: string, entry: CacheEntry): Promise<boolean> {
    return this.#call('set', () => {
      const value = this.#parts!.codec.encode(entry)
      return this.#inner.set(prefix, key, { ...entry, value }, { loadedForMs: 0 })
    })
  }
  delete(prefix: string, keys: readonly string[]): Promise<number> {
    return this.#call('delete', () => this.#inner.delete(prefix, keys))
  }
  increment(prefix: string, key: string, by: number, ttlMs: number): Promise<number> {
    return this.#call('increment', () => this.#inner.increment(prefix, key, by, ttlMs))
  }
  invalidateTags(prefix: string, tags: readonly string[]): Promise<void> {
    return this.#call('invalidateTags', () => this.#inner.invalidateTags(prefix, tags))
  }
  clear(namespace?: string): Promise<void> {
    return this.#call('clear', () => this.#inner.clear(namespace))
  }
  /** What another process changed. */
  hear(change: Parameters<CacheDriverParts['invalidated']>[0]): void {
    this.#parts!.invalidated(change)
  }
  /** Bytes as somebody else may have written them. */
  plant(prefix: string, key: string, bytes: Buffer): void {
    this.#inner.set(
      prefix,
      key,
      { value: bytes, freshMs: 60_000, staleMs: 0, eagerMs: 0, tags: [] },
      { loadedForMs: 0 },
    )
  }
  #out(entry: CacheEntry | undefined): CacheEntry | undefined {
    return entry && this.#parts!.codec.decode(entry.value as Buffer, entry.freshMs + entry.staleMs)
  }
  async #call<T>(name: string, work: () => T): Promise<T> {
    this.calls.push(name)
    await this.gate
    if (this.fault !== undefined) throw this.fault
    return work()
  }
}

export function farCache(settings: CacheSettings = {}): { cache: RootCache; clock: FakeClock; far: FarDriver } {
  const clock = createFakeClock()
  const far = new FarDriver()
  return { cache: createCache(far, { clock, jitter: 0, ttl: '1m', ...settings }), clock, far }
}

/** The failures that are told while `work` runs. */
export async function failuresOf(work: () => unknown): Promise<CacheFailureEvent[]> {
  const told: CacheFailureEvent[] = []
  const listener = (event: unknown): void => void told.push(event as CacheFailureEvent)
  failureChannel.subscribe(listener)
  try {
    await work()
  } finally {
    failureChannel.unsubscribe(listener)
  }
  return told
}

/** A loader that the test ends. */
export function heldLoader<T>(): {
  load: () => Promise<T>
  resolve(value: T): void
  reject(error: Error): void
  readonly calls: number
} {
  let held = Promise.withResolvers<T>()
  let calls = 0
  return {
    load: () => {
      calls++
      return held.promise
    },
    resolve(value) {
      held.resolve(value)
      held = Promise.withResolvers<T>()
    },
    reject(error) {
      held.reject(error)
      held = Promise.withResolvers<T>()
    },
    get calls() {
      return calls
    },
  }
}
