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

  /**
   * Takes out the leases that end with these reports, or have nothing left already: one statement closes them, where a second
   * would only wait for it. Reports under way elsewhere do not count yet.
   */
  close(counts: ReadonlyMap<LeaseId, number>): Map<LeaseId, number> {
    const closed = new Map<LeaseId, number>()
    for (const [lease, left] of this.#left) if (left - (counts.get(lease) ?? 0) <= 0) closed.set(lease, left)
    for (const lease of closed.keys()) this.#left.delete(lease)
    return closed
  }

  /** The statement that should have closed these has failed. */
  reopen(closed: ReadonlyMap<LeaseId, number>): void {
    for (const [lease, left] of closed) this.#left.set(lease, left)
  }

  /** The reports are committed. */
  settled(counts: ReadonlyMap<LeaseId, number>): void {
    for (const [lease, n] of counts) {
      const left = this.#left.get(lease)
      if (left !== undefined) this.#left.set(lease, left - n)
    }
  }
}
