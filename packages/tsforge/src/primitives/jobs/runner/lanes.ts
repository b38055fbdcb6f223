import type { ClaimedJob, JobId } from '../driver.ts'
import { Lane } from './lane.ts'
import type { Held, Leases } from './leases.ts'
import type { Resolved } from './settings.ts'

/** All queues of a runner. */
export class Lanes {
  readonly all: readonly Lane[]
  readonly #byQueue: ReadonlyMap<string, Lane>

  constructor({ queues, prefetch }: Resolved, leases: Leases) {
    this.all = queues.map((queue) => new Lane(queue, prefetch, leases))
    this.#byQueue = new Map(this.all.map((lane) => [lane.queue, lane]))
  }

  get(queue: string): Lane | undefined {
    return this.#byQueue.get(queue)
  }

  get stock(): number {
    let stock = 0
    for (const lane of this.all) stock += lane.stock
    return stock
  }

  has(id: JobId): boolean {
    return this.all.some((lane) => lane.has(id))
  }

  /** Whose turn it is: what holds places of a limit first, then by weight. */
  next(): Lane | undefined {
    if (this.all.length === 1) {
      const lane = this.all[0]!
      return lane.stock > 0 && lane.room > 0 ? lane : undefined
    }
    let best: Lane | undefined
    let weights = 0
    for (const lane of this.all) {
      if (lane.stock === 0 || lane.room < 1) continue
      if (lane.limited) return lane
      weights += lane.weight
      lane.credit += lane.weight
      if (best === undefined || lane.credit > best.credit) best = lane
    }
    if (best !== undefined) best.credit -= weights
    return best
  }

  drop(held: Held): ClaimedJob[] {
    return this.all.flatMap((lane) => lane.drop(held))
  }
}
