import type { JobId, LeaseId } from '../../driver.ts'
import type { Entry } from './entry.ts'

export interface Lease {
  readonly id: LeaseId
  readonly worker: string
  untilMs: number
  readonly jobs: Set<Entry>
}

/** Who runs what, and until when. */
export class Leases {
  readonly #leases = new Map<LeaseId, Lease>()
  #next = 1

  grant(worker: string, untilMs: number, entries: readonly Entry[]): LeaseId {
    const id = this.#next++
    this.#leases.set(id, { id, worker, untilMs, jobs: new Set(entries) })
    for (const entry of entries) entry.lease = id
    return id
  }

  /** Whether `entry` runs under this lease of this worker. */
  holds(worker: string, id: LeaseId, entry: Entry): boolean {
    const lease = this.#leases.get(id)
    return lease !== undefined && lease.worker === worker && lease.jobs.has(entry)
  }

  release(entry: Entry): void {
    const lease = entry.lease === undefined ? undefined : this.#leases.get(entry.lease)
    entry.lease = undefined
    lease?.jobs.delete(entry)
    if (lease?.jobs.size === 0) this.#leases.delete(lease.id)
  }

  workerOf(entry: Entry): string | undefined {
    return entry.lease === undefined ? undefined : this.#leases.get(entry.lease)?.worker
  }

  prolong(worker: string, untilMs: number): { readonly leases: LeaseId[]; readonly cancelled: JobId[] } {
    const leases: LeaseId[] = []
    const cancelled: JobId[] = []
    for (const lease of this.#leases.values()) {
      if (lease.worker !== worker) continue
      lease.untilMs = untilMs
      leases.push(lease.id)
      for (const entry of lease.jobs) if (entry.cancelRequested) cancelled.push(entry.id)
    }
    return { leases, cancelled }
  }

  /** The jobs of the leases that fulfil `ends`. */
  jobsOf(ends: (lease: Lease) => boolean): Entry[] {
    return [...this.#leases.values()].filter(ends).flatMap((lease) => [...lease.jobs])
  }
}
