import type { CacheChange, CacheEntry } from './driver.ts'

/** One run of a loader, as those see it who wait for its value. */
export interface Load {
  readonly prefix: string
  readonly key: string
  /** As far as they are known. */
  readonly tags: readonly string[]
  /** The old value, with its times as they were at `begunAt`. */
  readonly old: CacheEntry | undefined
  readonly begunAt: number
  readonly value: Promise<unknown>
  /** The key was written or deleted meanwhile: the value is for who waits already. */
  outdated: boolean
  /** While the value is on its way to the store; never rejects. */
  readonly storing: Promise<void> | undefined
}

/** Who waits for another process to store the value of a load. */
interface Listener {
  readonly load: Load
  readonly onChange: () => void
}

/** Tags that may be remembered while loads run; beyond it, all that is being loaded counts as changed. */
const most = 10_000

/**
 * Loads under way, by address, and what changed since each began: a value that was read before a change must neither
 * be stored after it nor be given to who asks after it. Nothing is remembered while nothing loads.
 */
export class Loads {
  readonly #current = new Map<string, Load>()
  readonly #running = new Set<Load>()
  readonly #listeners = new Set<Listener>()
  readonly #tags = new Map<string, number>()
  #moment = 0
  /** Loads that began before it count as changed. */
  #floor = 0

  get(prefix: string, key: string): Load | undefined {
    return this.#current.size === 0 ? undefined : this.#current.get(prefix + key)
  }

  /** Registers a load; the result is the moment of its begin. */
  begin(load: Load): number {
    this.#running.add(load)
    this.#current.set(load.prefix + load.key, load)
    return this.#moment
  }

  end(load: Load): void {
    this.#running.delete(load)
    this.#detach(load)
    // Clearing an empty map is not free.
    if (this.#running.size === 0 && this.#tags.size > 0) this.#tags.clear()
  }

  /** Calls `onChange` whenever the load's key changes or its lock is given back, until the result is called. */
  listen(load: Load, onChange: () => void): () => void {
    const listener: Listener = { load, onChange }
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** Tells who listens, in this process, that the lock of the load has been given back. */
  released({ prefix, key }: Load): void {
    this.#tell(prefix, [key])
  }

  note({ prefix, keys, tags }: CacheChange, namespace?: string): void {
    if (this.#running.size === 0) return
    this.#tell(prefix, keys)
    if (prefix === undefined || (keys === undefined && tags === undefined)) {
      for (const load of this.#running)
        if (namespace === undefined || load.prefix.startsWith(`${namespace}:`)) this.#outdate(load)
      return
    }
    for (const key of keys ?? []) {
      const load = this.#current.get(prefix + key)
      if (load !== undefined) this.#outdate(load)
    }
    if (tags === undefined || tags.length === 0) return
    this.#moment++
    if (this.#tags.size + tags.length > most) {
      this.#tags.clear()
      this.#floor = this.#moment
    }
    for (const tag of tags) this.#tags.set(prefix + tag, this.#moment)
    for (const load of this.#running)
      if (load.prefix === prefix && load.tags.some((tag) => tags.includes(tag))) this.#outdate(load)
  }

  /** Whether one of the tags was invalidated after `moment`. */
  changed(moment: number, prefix: string, tags: readonly string[]): boolean {
    if (tags.length === 0) return false
    return moment < this.#floor || tags.some((tag) => (this.#tags.get(prefix + tag) ?? 0) > moment)
  }

  /**
   * Notes a change that this process is about to make. What is on its way to the store already has to arrive before it:
   * the result is to be waited for; undefined when there is nothing.
   */
  precede(change: CacheChange, namespace?: string): Promise<void> | undefined {
    this.note(change, namespace)
    const stores = this.#storing(change, namespace)
    // Noted again, for loads that began meanwhile.
    return stores && Promise.all(stores).then(() => this.note(change, namespace))
  }

  #storing({ prefix, keys }: CacheChange, namespace?: string): Promise<void>[] | undefined {
    let found: Promise<void>[] | undefined
    for (const load of this.#running) {
      if (load.storing === undefined) continue
      const meant =
        prefix === undefined
          ? load.prefix.startsWith(`${namespace}:`)
          : load.prefix === prefix && keys?.includes(load.key)
      if (meant === true) (found ??= []).push(load.storing)
    }
    return found
  }

  #tell(prefix: string | undefined, keys: readonly string[] | undefined): void {
    for (const { load, onChange } of this.#listeners)
      if (prefix === undefined || (load.prefix === prefix && keys?.includes(load.key) === true)) onChange()
  }

  #outdate(load: Load): void {
    load.outdated = true
    this.#detach(load)
  }

  #detach(load: Load): void {
    if (this.#current.get(load.prefix + load.key) === load) this.#current.delete(load.prefix + load.key)
  }
}
