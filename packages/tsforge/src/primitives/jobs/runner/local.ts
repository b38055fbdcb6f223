import type { Clock } from '../../../kernel/clock.ts'
import type { ClaimedJob } from '../driver.ts'
import type { LocalRunner } from '../jobs.ts'
import type { Lane } from './lane.ts'
import type { Lanes } from './lanes.ts'
import type { Resolved } from './settings.ts'

export interface LocalParts {
  readonly options: Resolved
  readonly lanes: Lanes
  readonly clock: Clock
  /** Places of the runner that are free. */
  free(): number
  /** Whether it takes jobs of this kind now. */
  takes(kind: string): boolean
  receive(lane: Lane, jobs: readonly ClaimedJob[], since: number): void
  changed(): void
}

/** Takes jobs that this process adds, without a claim. */
export class Local implements LocalRunner {
  readonly worker: string
  readonly leaseMs: number
  /** Places kept for additions under way. */
  reserved = 0
  readonly #parts: LocalParts

  constructor(parts: LocalParts) {
    this.worker = parts.options.worker
    this.leaseMs = parts.options.leaseMs
    this.#parts = parts
  }

  reserve(queue: string, kind: string): boolean {
    const { lanes, clock, free, takes } = this.#parts
    const lane = lanes.get(queue)
    // Where others wait already, it is not its turn.
    if (lane === undefined || !lane.dry || lane.limited || lane.paused || lane.stock > 0 || lane.room < 1) return false
    if (free() < 1 || !takes(kind)) return false
    lane.reserved.push(clock.monotonic())
    this.reserved++
    return true
  }

  unreserve(queue: string, count: number): void {
    this.#parts.lanes.get(queue)!.reserved.length -= count
    this.reserved -= count
    this.#parts.changed()
  }

  accept(jobs: readonly ClaimedJob[]): void {
    const { lanes, receive, changed } = this.#parts
    const lane = lanes.get(jobs[0]!.queue)!
    // Of several additions the oldest is taken: a lease may be thought shorter than it is, never longer.
    const [since] = lane.reserved.splice(0, jobs.length)
    this.reserved -= jobs.length
    receive(lane, jobs, since!)
    changed()
  }
}
