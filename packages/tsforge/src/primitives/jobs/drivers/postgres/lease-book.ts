import type { Finished, LeaseId } from '../../driver.ts'

/** How many jobs of each lease have not been reported, so that the report of the last one takes the lease away with it. */
export class LeaseBook {
  readonly #left = new Map<LeaseId, number>()

  granted(lease: LeaseId, jobs: number): void {
    this.#left.set(lease, jobs)
  }

  /** Reports per lease. */
  static count(finished: readonly Finished[]): Map<LeaseId, number> {
    const counts = new Map<LeaseId, number>()
    for (const { lease } of finished) counts.set(lease, (counts.get(lease) ?? 0) + 1)
    return counts
  }

  /** Leases that end with these reports, or have nothing left already. Reports under way elsewhere do not count yet. */
  closable(counts: ReadonlyMap<LeaseId, number>): LeaseId[] {
    const closable: LeaseId[] = []
    for (const [lease, left] of this.#left) if (left - (counts.get(lease) ?? 0) <= 0) closable.push(lease)
    return closable
  }

  /** The reports are committed. */
  settled(counts: ReadonlyMap<LeaseId, number>, closed: readonly LeaseId[]): void {
    for (const [lease, n] of counts) {
      const left = this.#left.get(lease)
      if (left !== undefined) this.#left.set(lease, left - n)
    }
    for (const lease of closed) this.#left.delete(lease)
  }

  keepOnly(alive: ReadonlySet<LeaseId>, before: LeaseId): void {
    for (const lease of this.#left.keys()) if (!alive.has(lease) && lease <= before) this.#left.delete(lease)
  }
}
