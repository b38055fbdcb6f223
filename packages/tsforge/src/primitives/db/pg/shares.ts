import type { Clock } from '../../../kernel/clock.ts'
import { currentContext } from '../../../kernel/context.ts'
import { dbFault } from '../faults.ts'

/** What one kind of work holds of the pool. */
export interface Share {
  held: number
  readonly waiting: Set<() => void>
}

/**
 * Leaves a fifth of the pool (at least one connection) to others, however many requests of one route wait for a lock
 * or a slow statement. Work without a context is not counted; a pool of less than three connections is not shared out.
 */
export class Shares {
  readonly #limit: number
  readonly #waitMs: number
  readonly #clock: Clock
  /** By route: as many as there are in the app. */
  readonly #shares = new WeakMap<object, Share>()

  constructor(max: number, waitMs: number, clock: Clock) {
    this.#limit = max < 3 ? Number.POSITIVE_INFINITY : max - Math.max(1, Math.floor(max / 5))
    this.#waitMs = waitMs
    this.#clock = clock
  }

  /** A place, at once where there is one. Rejects with `db.pool_exhausted` after the wait limit of the pool. */
  take(): Share | undefined | Promise<Share> {
    const kind = currentContext()?.kind
    if (kind === undefined) return undefined
    let share = this.#shares.get(kind)
    if (share === undefined) this.#shares.set(kind, (share = { held: 0, waiting: new Set() }))
    if (share.held >= this.#limit) return this.#wait(share)
    share.held++
    return share
  }

  /** Hands the place over, so that nobody who comes later can take it in between. */
  give(share: Share | undefined): void {
    if (share === undefined) return
    const [next] = share.waiting
    if (next === undefined) share.held--
    else next()
  }

  #wait(share: Share): Promise<Share> {
    return new Promise((resolve, reject) => {
      const next = (): void => {
        timer.cancel()
        share.waiting.delete(next)
        resolve(share)
      }
      const timer = this.#clock.after(this.#waitMs, () => {
        share.waiting.delete(next)
        reject(dbFault('db.pool_exhausted', new Error('too many connections are held by the same route')))
      })
      share.waiting.add(next)
    })
  }
}
