import type { Queryable } from '../db/index.ts'
import type { Slice } from '../../kernel/page.ts'
import { port } from '../../kernel/plugin.ts'
import type { Port } from '../../kernel/plugin.ts'
import type {
  Added,
  CancelResult,
  ClaimedJob,
  Dedupe,
  JobFilter,
  JobId,
  JobRecord,
  JobsDriver,
  Priority,
  QueueSettings,
  QueueStats,
  RedriveRequest,
} from './driver.ts'
import type { Job } from './job.ts'

export interface EnqueueOptions {
  readonly queue?: string
  readonly priority?: Priority
  readonly maxAttempts?: number
  readonly timeoutMs?: number
  /** Not before this moment. */
  readonly runAt?: Date
  /** Not before so many milliseconds from now, by the clock of the store. */
  readonly delayMs?: number
  /** A text stands for `{ key, mode: 'skip' }`. */
  readonly dedupe?: string | Dedupe
  readonly tags?: readonly string[]
  readonly key?: string
  /** Default: the tenant of the unit of work. `null`: none. */
  readonly tenantId?: string | null
}

/** One job of `enqueueMany`. */
export interface BulkJob<Payload> extends EnqueueOptions {
  readonly payload: Payload
}

/** Which page of jobs. */
export interface JobPage {
  /** Default 50, at most 1000. */
  readonly limit?: number
  /** `next` of the page before. */
  readonly after?: readonly (string | null)[]
}

/**
 * A runner of this process that may take new jobs straight from an addition, without a claim. Held by the facade
 * between `attach` and its undoing.
 */
export interface LocalRunner {
  readonly worker: string
  readonly leaseMs: number
  /** Reserves an idle place for one job of this kind; false: none. Synchronous. */
  reserve(queue: string, kind: string): boolean
  /** Gives `count` reserved places back: their jobs were not handed over. */
  unreserve(queue: string, count: number): void
  /** The jobs are committed and leased to `worker`; each fills a reserved place. */
  accept(jobs: readonly ClaimedJob[]): void
}

/** What modules and products hold. Adding and looking; running is the runner's. */
export interface Jobs {
  readonly driver: JobsDriver
  /**
   * Adds one job. In `tx` (any object with `query(text, values)`: ours, a `pg` client, an ORM's) it exists when that commits and
   * never when it does not. Without `tx`, additions of the same tick share one commit, and the promise resolves after it.
   *
   * Fails with `jobs.payload_invalid`, `jobs.payload_too_large`, `jobs.option_invalid`, or as the store does; on
   * `db.commit_unknown` nobody knows whether the job exists: give it a dedupe key if that matters.
   */
  enqueue<Payload>(job: Job<Payload>, payload: Payload, options?: EnqueueOptions, tx?: Queryable): Promise<Added>
  /** Adds all or none, in one statement. Ids in the order given. */
  enqueueMany<Payload>(
    job: Job<Payload>,
    jobs: readonly BulkJob<Payload>[],
    options?: EnqueueOptions,
    tx?: Queryable,
  ): Promise<readonly Added[]>

  get(id: JobId): Promise<JobRecord | undefined>
  /** Newest first. */
  list(filter?: JobFilter, page?: JobPage): Promise<Slice<JobRecord>>
  /** By queue; with `tenantId` of that tenant's jobs alone. Ended jobs count for a day. */
  stats(queue?: string, tenantId?: string): Promise<readonly QueueStats[]>

  /** Ends it if it does not run, tells its handler's signal if it does. Fails with `jobs.unknown` when it has ended or never was. */
  cancel(id: JobId, tx?: Queryable): Promise<'cancelled' | 'requested'>
  cancelMany(ids: readonly JobId[], tx?: Queryable): Promise<CancelResult>
  /** Runs a dead job again from its first attempt, or a waiting one now. Fails with `jobs.unknown`. */
  retry(id: JobId, tx?: Queryable): Promise<void>
  /** What `redrive` would take: how many, and the newest of them. */
  previewRedrive(filter?: JobFilter): Promise<{ readonly count: number; readonly sample: readonly JobRecord[] }>
  /** Runs dead jobs again, at a rate. Gives how many. */
  redrive(request?: Partial<RedriveRequest>): Promise<number>
  removeDead(filter: JobFilter): Promise<number>

  /** Settings of a queue, for all processes at once. What is declared in `createJobs` is written again at each start. */
  configure(queue: string, settings: QueueSettings): Promise<void>
  pause(queue: string): Promise<void>
  resume(queue: string): Promise<void>

  /** Lets a runner of this process take additions straight away. Gives how to end that. */
  attach(runner: LocalRunner): () => void
  /** Writes the declared settings of queues and prepares the store. */
  start(): Promise<void>
  /** Waits for additions under way. The driver is closed by whoever made it. */
  close(): Promise<void>
}

export const jobsPort: Port<Jobs> = port<Jobs>('jobs', () => import('./plugin.ts').then((module) => module.jobs()))
