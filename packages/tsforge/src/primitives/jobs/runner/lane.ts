import type { ClaimedJob, JobId } from '../driver.ts'
import type { Timer } from '../../../kernel/clock.ts'
import type { Held, Leases } from './leases.ts'
import type { RunnerQueue } from './settings.ts'

interface Batch {
  readonly jobs: readonly ClaimedJob[]
  readonly held: Held
  /** When it came, by the monotonic clock. */
  readonly at: number
  next: number
}

/** A stock is what runs within this time (Little's law): it hides the claim and makes nobody wait. */
const stockMs = 100
/** Weight of the latest run in the average. */
const share = 1 / 32
const mostPerClaim = 1000

/** One queue of a runner: its stock of claimed jobs and what is known about the store's. */
export class Lane {
  readonly queue: string
  readonly weight: number
  readonly concurrency: number
  readonly #prefetch: number
  readonly #leases: Leases
  readonly #batches: Batch[] = []
  /** Smooth weighted round robin: grows by `weight`, and falls by the sum of all weights when it is served. */
  credit = 0
  running = 0
  /** Places kept for jobs that this process adds at this moment, by when they were taken. */
  readonly reserved: number[] = []
  stock = 0
  /** Statements under way that claim, and what they ask for. */
  claiming = 0
  incoming = 0
  /** The store had nothing more: wait for a call, for `timer`, or for this process to know better. */
  dry = false
  /** Claims in a row that gave nothing. */
  empty = 0
  limited = false
  paused = false
  /** Grows with each call, so that a claim under way knows that it may have missed something. */
  calls = 0
  /** When it left word that it waits for calls. */
  markedAt: number = Number.NEGATIVE_INFINITY
  timer: Timer | undefined
  #averageMs = 0
  #measured = false

  constructor({ name, weight, concurrency }: Required<RunnerQueue>, prefetch: number, leases: Leases) {
    this.queue = name
    this.weight = weight
    this.concurrency = concurrency
    this.#prefetch = prefetch
    this.#leases = leases
  }

  /** Places of its own that nothing runs in or is about to. */
  get room(): number {
    return this.concurrency - this.running - this.reserved.length
  }

  /** Jobs to claim now, with `free` places in the runner. `eager`: also few of them. */
  want(free: number, eager: boolean): number {
    if (this.dry || this.claiming >= 2) return 0
    const places = Math.max(0, Math.min(free, this.room))
    const capacity = places + (this.limited ? 0 : this.#target())
    const have = this.stock + this.incoming
    if (have >= capacity || (!eager && have * 2 > capacity)) return 0
    return Math.min(capacity - have, mostPerClaim)
  }

  /** As many as run in `stockMs`, when the average holds. */
  #target(): number {
    if (!this.#measured) return 0
    return Math.min(this.#prefetch, Math.floor((this.concurrency * stockMs) / Math.max(this.#averageMs, 0.01)))
  }

  measured(runMs: number, weight: number = share): void {
    if (this.#measured) this.#averageMs += (runMs - this.#averageMs) * weight
    else {
      this.#averageMs = runMs
      this.#measured = true
    }
  }

  add(jobs: readonly ClaimedJob[], held: Held, at: number): void {
    this.#batches.push({ jobs, held, at, next: 0 })
    this.stock += jobs.length
  }

  /** It is to be asked for again. */
  wake(): void {
    this.dry = false
    this.timer?.cancel()
    this.timer = undefined
  }

  has(id: JobId): boolean {
    return this.#batches.some(({ jobs, next }) => jobs.some((job, i) => i >= next && job.id === id))
  }

  /** The next job of its stock. */
  take(): { readonly job: ClaimedJob; readonly held: Held } | undefined {
    const batch = this.#batches[0]
    if (batch === undefined) return undefined
    const { jobs, held } = batch
    const job = jobs[batch.next++]!
    this.stock--
    if (batch.next === jobs.length) this.#batches.shift()
    return { job, held }
  }

  /** Takes out what lies in a lease that was lost. */
  drop(held: Held): ClaimedJob[] {
    const jobs: ClaimedJob[] = []
    for (let i = this.#batches.length - 1; i >= 0; i--) {
      const batch = this.#batches[i]!
      if (batch.held !== held) continue
      this.#batches.splice(i, 1)
      jobs.push(...batch.jobs.slice(batch.next))
    }
    this.stock -= jobs.length
    return jobs
  }

  /** Takes out all that has waited since before `at`. */
  giveBack(at: number = Number.POSITIVE_INFINITY): ClaimedJob[] {
    const jobs: ClaimedJob[] = []
    while (this.#batches.length > 0 && this.#batches[0]!.at < at) {
      const batch = this.#batches.shift()!
      const left = batch.jobs.slice(batch.next)
      this.stock -= left.length
      this.#leases.release(batch.held, left.length)
      jobs.push(...left)
    }
    return jobs
  }
}
