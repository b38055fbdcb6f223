import type { Clock } from '../../../kernel/clock.ts'
import type { HistogramSeries, Metrics } from '../../../kernel/metrics.ts'
import type { ClaimedJob, JobState, QueueStats, Rescued } from '../driver.ts'
import { jobFinished, jobRescued, jobStarted } from '../events.ts'
import type { JobFinished } from '../events.ts'

type Outcome = JobFinished['outcome']
const outcomes: readonly Outcome[] = ['done', 'retried', 'snoozed', 'dead', 'cancelled', 'released', 'late']

/** What is counted for one kind; read when somebody scrapes. */
export interface KindMeter {
  readonly counts: Record<Outcome, number>
  readonly wait: HistogramSeries | undefined
  readonly run: HistogramSeries | undefined
}

interface Run {
  readonly job: ClaimedJob
  readonly kind: { readonly meter: KindMeter }
}

/** A run's end as it is told once it is stored. */
export interface Ending {
  readonly outcome: Outcome
  readonly runMs: number
  readonly error?: JobFinished['error']
  readonly deadReason?: JobFinished['deadReason']
}

const waitBuckets = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 1800, 7200]
const runBuckets = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 1800]
const gaugedStates: readonly JobState[] = ['scheduled', 'ready', 'retrying', 'running', 'dead']

/** Metrics and diagnostics channels of a runner. */
export class Meter {
  readonly #clock: Clock
  readonly #metrics: Metrics | undefined
  readonly #waits
  readonly #runs
  readonly #finished
  readonly #rescued
  readonly #depth
  readonly #oldest
  #queues = new Set<string>()

  constructor(clock: Clock, metrics: Metrics | undefined) {
    this.#clock = clock
    this.#metrics = metrics
    const labelNames = ['kind']
    this.#waits = metrics?.histogram('forge_jobs_wait_seconds', {
      help: 'From when a job was due to when it started',
      labelNames,
      buckets: waitBuckets,
    })
    this.#runs = metrics?.histogram('forge_jobs_run_seconds', {
      help: 'How long runs of jobs take',
      labelNames,
      buckets: runBuckets,
    })
    this.#finished = metrics?.counter('forge_jobs_finished_total', {
      help: 'Runs of jobs by how they ended',
      labelNames: ['kind', 'outcome'],
    })
    this.#rescued = metrics?.counter('forge_jobs_rescued_total', {
      help: 'Jobs whose process went away, found by this one',
      labelNames: ['kind', 'outcome'],
    })
    this.#depth = metrics?.gauge('forge_jobs_depth', {
      help: 'Jobs of each queue by state, over all processes',
      labelNames: ['queue', 'state'],
    })
    this.#oldest = metrics?.gauge('forge_jobs_oldest_seconds', {
      help: 'How long the longest waiting job of each queue has been due',
      labelNames: ['queue'],
    })
  }

  /** Whether anybody would see `depths`. */
  get gauges(): boolean {
    return this.#metrics !== undefined
  }

  ofKind(kind: string): KindMeter {
    const counts = Object.fromEntries(outcomes.map((outcome) => [outcome, 0])) as Record<Outcome, number>
    for (const outcome of outcomes) this.#finished?.collect({ kind, outcome }, () => counts[outcome])
    return { counts, wait: this.#waits?.labels({ kind }), run: this.#runs?.labels({ kind }) }
  }

  gauge(name: string, help: string, collect: () => number): void {
    this.#metrics?.gauge(name, { help, collect })
  }

  started({ job, kind }: Run): void {
    const { wait } = kind.meter
    if (wait === undefined && !jobStarted.hasSubscribers) return
    // The two clocks may differ.
    const waitMs = Math.max(0, this.#clock.now() - job.runAtMs)
    wait?.observe(waitMs / 1000)
    if (jobStarted.hasSubscribers) {
      const { id, queue, attempt } = job
      jobStarted.publish({ id, kind: job.kind, queue, attempt, waitMs })
    }
  }

  finished({ job, kind }: Run, ending: Ending): void {
    kind.meter.counts[ending.outcome]++
    kind.meter.run?.observe(ending.runMs / 1000)
    if (jobFinished.hasSubscribers) {
      const { id, queue, attempt } = job
      jobFinished.publish({ id, kind: job.kind, queue, attempt, ...ending })
    }
  }

  rescued(jobs: readonly Rescued[]): void {
    for (const { id, kind, queue, attempt, dead } of jobs) {
      this.#rescued?.add(1, { kind, outcome: dead ? 'dead' : 'retried' })
      if (jobRescued.hasSubscribers) jobRescued.publish({ id, kind, queue, attempt, dead })
    }
  }

  depths(stats: readonly QueueStats[]): void {
    const seen = new Set<string>()
    for (const { queue, counts, oldestMs } of stats) {
      seen.add(queue)
      for (const state of gaugedStates) this.#depth?.set(counts[state], { queue, state })
      this.#oldest?.set(oldestMs / 1000, { queue })
    }
    // A queue that has gone quiet altogether is in no answer.
    for (const queue of this.#queues) {
      if (seen.has(queue)) continue
      for (const state of gaugedStates) this.#depth?.set(0, { queue, state })
      this.#oldest?.set(0, { queue })
    }
    this.#queues = seen
  }
}
