import { randomUUID } from 'node:crypto'
import type { Timer } from '../../kernel/clock.ts'
import type { Duration } from '../../kernel/durations.ts'
import { withTimeout } from '../../kernel/resilience/timeout.ts'
import type { Core, Place } from './core.ts'
import type { CacheEntry } from './driver.ts'
import { cacheErrors } from './errors.ts'
import { checkKeys } from './keys.ts'
import type { Load } from './loads.ts'
import { ms } from './policy.ts'
import type { Policy } from './policy.ts'

/** What a loader is given. */
export interface LoadContext {
  readonly key: string
  /** Aborted when the loader is given up (`loadTimeout`). The caller's own signal plays no part: others may wait too. */
  readonly signal: AbortSignal
  /** The old value, when there is one that could still be served. */
  readonly stale: unknown
  /** The value goes to who waits, and is not kept. */
  skip(): void
  /** The value says that there is nothing: it is kept for `ttl` (default: `negativeTtl`, else 30 s) and never stale. */
  negative(ttl?: Duration): void
  /** Adds tags that only the value tells. */
  tags(...tags: readonly string[]): void
  /** Another ttl than that of the options. */
  ttl(ttl: Duration): void
}

export type Loader<T> = (context: LoadContext) => T | Promise<T>

interface HeldLock {
  readonly token: string
  readonly renewal: Timer
}

const defaultNegativeMs = 30_000
const firstPauseMs = 5
const longestPauseMs = 50

/** One run of a loader, for all who wait for it. */
export class RunningLoad implements Load, Place {
  readonly namespace: string
  readonly prefix: string
  readonly key: string
  readonly old: CacheEntry | undefined
  readonly begunAt: number
  readonly value: Promise<unknown>
  outdated = false
  storing: Promise<void> | undefined
  readonly #core: Core
  readonly #policy: Policy
  readonly #moment: number
  #tags: readonly string[]
  #skipped = false
  #ttlMs: number | undefined
  #negative = false
  #lock: HeldLock | undefined
  /** When the loader was called: what it reads is no older. */
  #calledAt: number

  constructor(core: Core, place: Place, loader: Loader<unknown>, policy: Policy, old: CacheEntry | undefined) {
    this.namespace = place.namespace
    this.prefix = place.prefix
    this.key = place.key
    this.old = old
    this.#core = core
    this.#policy = policy
    this.#tags = policy.tags
    this.begunAt = this.#calledAt = core.clock.monotonic()
    this.#moment = core.loads.begin(this)
    this.value = this.#run(loader)
    // A refresh in the background has nobody who waits; its failure is counted.
    this.value.catch(() => {})
  }

  get tags(): readonly string[] {
    return this.#tags
  }

  async #run(loader: Loader<unknown>): Promise<unknown> {
    try {
      const found = this.#policy.lock === undefined ? undefined : await this.#acquire(this.#policy.lock)
      if (found !== undefined) return found.value
      const value = await this.#call(loader)
      this.storing = this.#store(value)
      return value
    } catch (error) {
      this.#core.meter.failed(this.namespace, 'load', error)
      if (this.old !== undefined && this.#policy.backoffMs > 0)
        this.#core.backoffs.set(this.prefix + this.key, this.#core.clock.monotonic() + this.#policy.backoffMs)
      throw error
    } finally {
      // Who asks before the store knows the value joins this load.
      if (this.storing === undefined) this.#end()
      else void this.storing.finally(() => this.#end())
    }
  }

  async #call(loader: Loader<unknown>): Promise<unknown> {
    const { clock } = this.#core
    this.#calledAt = clock.monotonic()
    let aborted: AbortSignal | undefined
    try {
      return await withTimeout((signal) => loader(this.#context((aborted = signal))), {
        clock,
        ms: this.#policy.loadMs,
      })
    } catch (error) {
      throw aborted?.aborted === true ? cacheErrors.error('cache.load_timeout', { cause: error }) : error
    }
  }

  #context(signal: AbortSignal): LoadContext {
    return {
      key: this.key,
      signal,
      stale: this.old?.value,
      skip: () => {
        this.#skipped = true
      },
      negative: (ttl) => {
        this.#negative = true
        this.#ttlMs = ms('negative', ttl, this.#policy.negativeMs ?? defaultNegativeMs)
      },
      tags: (...tags) => {
        checkKeys(tags)
        this.#tags = [...new Set([...this.#tags, ...tags])]
      },
      ttl: (ttl) => {
        this.#ttlMs = ms('ttl', ttl, 0)
      },
    }
  }

  async #store(value: unknown): Promise<void> {
    const core = this.#core
    const entry = this.#entry(value)
    if (entry === undefined || this.outdated || core.loads.changed(this.#moment, this.prefix, entry.tags)) return
    const write = { loadedForMs: core.clock.monotonic() - this.#calledAt }
    await core.attempt(this.namespace, 'set', () => core.driver.set(this.prefix, this.key, entry, write))
  }

  /** How the value is kept; undefined when it is not. */
  #entry(value: unknown): CacheEntry | undefined {
    const policy = this.#policy
    const nothing = this.#negative || ((value === undefined || value === null) && policy.negativeMs !== undefined)
    if (this.#skipped || (value === undefined && !nothing)) return undefined
    const ttlMs = this.#ttlMs ?? (nothing ? policy.negativeMs! : policy.ttlMs)
    return entryOf(this.#core, value, ttlMs, { ...policy, tags: this.#tags }, nothing)
  }

  /**
   * Waits for the lock, or for the value of who has it: looks again as soon as it hears that the key has changed or that
   * this process has given the lock back, and now and then, since not every store tells. A store that cannot lock is no
   * reason to wait.
   */
  async #acquire({ leaseMs, waitMs }: NonNullable<Policy['lock']>): Promise<CacheEntry | undefined> {
    const { driver, clock, loads, random } = this.#core
    if (driver.lock === undefined) return undefined
    const token = randomUUID()
    const take = (): boolean | Promise<boolean> => driver.lock!(this.prefix, this.key, token, leaseMs)
    const until = clock.monotonic() + waitMs
    let news = new AbortController()
    const stopListening = loads.listen(this, () => news.abort())
    try {
      for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 1.5, longestPauseMs)) {
        // Before the question: news may overtake an answer that is older.
        if (news.signal.aborted) news = new AbortController()
        const taken = await this.#core.attempt(this.namespace, 'lock', take)
        if (taken === true) {
          const renew = (): void => void this.#core.attempt(this.namespace, 'lock', take)
          this.#lock = { token, renewal: clock.every(leaseMs / 3, renew) }
        }
        // Also with the lock: its last owner may have stored the value a moment ago.
        const entry = taken === undefined ? undefined : await this.#core.ask(this)
        if (entry !== undefined && entry.freshMs > entry.eagerMs) return entry
        if (taken !== false || clock.monotonic() >= until) return undefined
        await clock.sleep(pauseMs * (0.5 + random()), news.signal).catch(() => {})
      }
    } finally {
      stopListening()
    }
  }

  #end(): void {
    this.#core.loads.end(this)
    if (this.#lock !== undefined) void this.#release(this.#lock)
  }

  async #release({ token, renewal }: HeldLock): Promise<void> {
    const { loads, driver } = this.#core
    renewal.cancel()
    await this.#core.attempt(this.namespace, 'unlock', () => driver.unlock?.(this.prefix, this.key, token))
    loads.released(this)
  }
}

/** An entry with its jittered life; undefined when it would have none. */
export function entryOf(
  core: Core,
  value: unknown,
  ttlMs: number,
  { jitter, staleMs, graceMs, eager, tags }: Pick<Policy, 'jitter' | 'staleMs' | 'graceMs' | 'eager' | 'tags'>,
  final: boolean,
): CacheEntry | undefined {
  const freshMs = core.life(ttlMs, jitter)
  const keptMs = final ? 0 : Math.max(staleMs, graceMs)
  if (freshMs + keptMs <= 0) return undefined
  return { value, freshMs, staleMs: keptMs, eagerMs: eager < 1 ? freshMs * (1 - eager) : 0, tags }
}
