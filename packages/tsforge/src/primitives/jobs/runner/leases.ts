import type { ClaimedJob, LeaseId } from '../driver.ts'

/** A lease that this process holds, with the jobs that are not over here. */
export interface Held {
  readonly id: LeaseId
  /** Until then, by the monotonic clock, nobody else can have it: counted from before the store was asked. */
  until: number
  left: number
  lost: boolean
}

/** All leases of a runner. */
export class Leases {
  readonly #held = new Map<LeaseId, Held>()

  get size(): number {
    return this.#held.size
  }

  ids(): LeaseId[] {
    return [...this.#held.keys()]
  }

  /** `until`: see `Held`. Jobs of one lease may come in several parts. */
  grant(jobs: readonly ClaimedJob[], until: number): Held {
    const id = jobs[0]!.lease
    let held = this.#held.get(id)
    if (held === undefined) this.#held.set(id, (held = { id, until, left: 0, lost: false }))
    held.left += jobs.length
    return held
  }

  /** A job of it moves into a lease of its own. */
  split(from: Held, id: LeaseId, until: number): Held {
    this.release(from)
    const held = { id, until, left: 1, lost: false }
    this.#held.set(id, held)
    return held
  }

  /** So many of its jobs are over. */
  release(held: Held, jobs = 1): void {
    held.left -= jobs
    if (held.left <= 0) this.#held.delete(held.id)
  }

  /** Of the leases `asked` for, those in `alive` live until `until`; gives the others, which are lost. */
  renewed(asked: readonly LeaseId[], alive: readonly LeaseId[], until: number): Held[] {
    const living = new Set(alive)
    const lost: Held[] = []
    for (const id of asked) {
      const held = this.#held.get(id)
      if (held === undefined) continue
      if (living.has(id)) held.until = Math.max(held.until, until)
      else if (this.#lose(held)) lost.push(held)
    }
    return lost
  }

  /** Those that nobody has prolonged in time: somebody else may have them. */
  expired(now: number): Held[] {
    const lost: Held[] = []
    for (const held of this.#held.values()) if (now >= held.until && this.#lose(held)) lost.push(held)
    return lost
  }

  #lose(held: Held): boolean {
    if (held.lost) return false
    held.lost = true
    this.#held.delete(held.id)
    return true
  }
}
