import type { Clock } from '../../kernel/clock.ts'

/** First pause between two looks, and the longest; in between it doubles. */
const firstMs = 15
const longestMs = 200

/** The places for requests that wait for another with the same key. */
export class WaitingRoom {
  readonly #clock: Clock
  readonly #places: number
  readonly #perKey: number
  readonly #taken = new Map<string, number>()
  readonly #sleeping = new Map<string, Set<() => void>>()
  #size = 0

  constructor(clock: Clock, places: number) {
    this.#clock = clock
    this.#places = places
    this.#perKey = Math.ceil(places / 4)
  }

  get size(): number {
    return this.#size
  }

  /** Takes a place, or says that there is none: no key may take all of them. */
  enter(id: string): boolean {
    const taken = this.#taken.get(id) ?? 0
    if (this.#size >= this.#places || taken >= this.#perKey) return false
    this.#taken.set(id, taken + 1)
    this.#size++
    return true
  }

  leave(id: string): void {
    const left = this.#taken.get(id)! - 1
    if (left === 0) this.#taken.delete(id)
    else this.#taken.set(id, left)
    this.#size--
  }

  /** How long to pause before look number `n` (from 0), with jitter, so that waiters do not march in step. */
  pauseMs(n: number): number {
    return Math.min(longestMs, firstMs * 2 ** n) * (0.75 + Math.random() / 2)
  }

  /** Resolves after `ms`, or when this process has done with `id`; throws the signal's reason. */
  pause(id: string, ms: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const sleeping = this.#sleeping.get(id) ?? new Set()
      const end = (): void => {
        timer.cancel()
        sleeping.delete(end)
        if (sleeping.size === 0) this.#sleeping.delete(id)
        signal?.removeEventListener('abort', end)
        if (signal?.aborted === true) reject(signal.reason as Error)
        else resolve()
      }
      const timer = this.#clock.after(ms, end)
      this.#sleeping.set(id, sleeping.add(end))
      signal?.addEventListener('abort', end, { once: true })
      if (signal?.aborted === true) end()
    })
  }

  /** Wakes those who wait for `id`. */
  wake(id: string): void {
    for (const end of [...(this.#sleeping.get(id) ?? [])]) end()
  }
}
