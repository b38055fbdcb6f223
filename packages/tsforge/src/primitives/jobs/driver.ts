import type { Queryable } from '../db/index.ts'

/** Ids are given in order of adding, are never used twice, and stay exact: 2^53 jobs at 100,000 a second last 2,800 years. */
export type JobId = number
/** The fence: what a worker reports counts only while its lease exists. */
export type LeaseId = number

/**
 * `scheduled`: its time has not come. `ready`: waits for a worker. `running`: in a lease. `retrying`: has failed or was
 * lost at least once, and waits for its next attempt. The last three are ends: nothing runs any more.
 */
export type JobState = 'scheduled' | 'ready' | 'running' | 'retrying' | 'done' | 'dead' | 'cancelled'
/** Where `retrying` ends a job: `failed`: no attempts left. `discarded`: by its handler. `lost`: its process died each time. */
export type DeadReason = 'failed' | 'discarded' | 'lost'

/** 1 urgent, 2 high, 3 normal, 4 low. */
export type Priority = 1 | 2 | 3 | 4

export type DedupeMode = 'skip' | 'replace' | 'debounce' | 'throttle'

/** What the key of a job means among the open jobs of its queue. */
export interface Dedupe {
  readonly key: string
  /**
   * `skip`: while a job with this key is open, nothing is added. `replace`: the open job makes room for this one
   * (one that runs finishes; this one follows). `debounce`: `replace`, and the wait starts again. `throttle`: nothing is
   * added within `windowMs` of the last one, finished or not.
   */
  readonly mode: DedupeMode
  /** For `debounce` and `throttle`. */
  readonly windowMs?: number
}

/** A job as drivers store it: complete and checked. */
export interface NewJob {
  readonly kind: string
  readonly queue: string
  /** JSON text, stored as it is. */
  readonly payload: string
  readonly priority: Priority
  readonly maxAttempts: number
  /** Milliseconds from now by the clock of the store; 0: at once. Ignored when `runAtMs` is given. */
  readonly delayMs: number
  /** Milliseconds since the epoch. */
  readonly runAtMs?: number | undefined
  readonly timeoutMs?: number | undefined
  /** Group for fairness and for limits per key. In a queue that serves keys the tenant stands in for it. */
  readonly key?: string | undefined
  readonly dedupe?: Dedupe | undefined
  readonly tags?: readonly string[] | undefined
  readonly tenantId?: string | undefined
  /** JSON text of what travels with the job beside its payload (`JobMeta`). */
  readonly meta?: string | undefined
}

export interface JobMeta {
  /** Kind and id of who added it. */
  readonly actor?: readonly [kind: string, id: string | null]
  /** W3C traceparent of the unit of work that added it. */
  readonly trace?: string
  /** The job that waits for it: its end is always told. */
  readonly parent?: JobId
}

/** What became of one added job. */
export interface Added {
  /** Of the job that stands for it now; `undefined` only when throttled and the last one is forgotten. */
  readonly id: JobId | undefined
  readonly outcome: 'added' | 'replaced' | 'existing' | 'throttled'
}

export interface AddOptions {
  /** The caller's transaction: the jobs exist when it commits and never when it does not. */
  readonly tx?: Queryable | undefined
  /**
   * Leases all of these jobs to a worker of this process in the same commit. Only for jobs of one queue without limits
   * that are due and have no dedupe key. The driver says by the answer's `lease` whether it did.
   */
  readonly handOff?: { readonly worker: string; readonly leaseMs: number } | undefined
}

export interface AddResult {
  /** In the order of the jobs given. */
  readonly added: readonly Added[]
  /** Holds all of the jobs, when `handOff` was granted. */
  readonly lease?: LeaseId | undefined
  /** When they were added, by the clock of the store; with `lease`. */
  readonly atMs?: number | undefined
}

/** A job as a worker gets it. */
export interface ClaimedJob {
  readonly id: JobId
  readonly lease: LeaseId
  readonly queue: string
  readonly kind: string
  /** 1 for the first. */
  readonly attempt: number
  readonly maxAttempts: number
  readonly payload: unknown
  /** When it was due, by the clock of the store. */
  readonly runAtMs: number
  readonly createdAtMs: number
  readonly timeoutMs: number | undefined
  readonly key: string | undefined
  readonly tenantId: string | undefined
  readonly tags: readonly string[]
  readonly meta: JobMeta
}

interface Outcome {
  readonly id: JobId
  readonly lease: LeaseId
}

/** How one run ended. */
export type Finished =
  /** Removed; with `keep`, kept as history with its output (JSON text) and duration. */
  | (Outcome & {
      readonly as: 'done'
      readonly keep: boolean
      readonly runMs?: number
      readonly output?: string | undefined
    })
  /** The attempt counts. Dead after the last one. */
  | (Outcome & { readonly as: 'failed'; readonly error: JobError; readonly delayMs: number })
  /** The attempt does not count (durable sleep, a limit of somebody else's). `meta`/`payload` stay. */
  | (Outcome & { readonly as: 'snoozed'; readonly delayMs: number })
  /** Dead at once, whatever is left of its attempts. */
  | (Outcome & { readonly as: 'discarded'; readonly error: JobError })
  /** Ended because somebody had cancelled it. */
  | (Outcome & { readonly as: 'cancelled' })
  /** Handed back as if it had never been claimed. */
  | (Outcome & { readonly as: 'released' })

export interface JobError {
  readonly name: string
  readonly message: string
  readonly stack?: string | undefined
}

/** Finishes and claims in one statement, one commit. */
export interface StepRequest {
  readonly queue: string
  /** Unique for ever, one per runner. */
  readonly worker: string
  readonly leaseMs: number
  /** What this worker can run. Jobs of other kinds stay where they are. */
  readonly kinds: readonly string[]
  /** Most jobs to claim; 0: only finish. */
  readonly want: number
  /** Of any queue. */
  readonly finished: readonly Finished[]
  /** The worker will wait for a wake-up if it gets nothing: from now on additions to this queue notify. */
  readonly idle: boolean
}

export interface StepResult {
  readonly jobs: readonly ClaimedJob[]
  /** Reports that did not count: the lease was lost before. What these runs did is done twice, or was. */
  readonly late: readonly JobId[]
  /** Asking again at once is worth it. */
  readonly more: boolean
  /** When the next job of this queue is due, or a limit lets the next one through; `undefined`: nobody knows. */
  readonly nextMs: number | undefined
  /** The queue has limits: claim what you can start now, and keep no stock. */
  readonly limited: boolean
  readonly paused: boolean
}

export interface Heartbeat {
  /** Leases of this worker that live and have been prolonged. What is missing is lost: abort it, its reports will be late. */
  readonly leases: readonly LeaseId[]
  /** Running jobs that somebody wants ended. Repeated until they are finished. */
  readonly cancelled: readonly JobId[]
}

/** The part of a driver that a runner uses. */
export interface DriverClaim {
  /**
   * First all of `finished`, each honoured only while its lease exists and belongs to `worker` (else `late`), then a claim of
   * up to `want` due jobs of known kinds: by priority (one claim in eight serves the longest waiting), then by time, then by
   * id. Nothing is claimed twice while its lease exists. Limits of the queue are exact over all workers.
   *
   * Two or more steps of one worker may be in flight. All or nothing: on a rejection report the same `finished` again
   * (what had been committed after all comes back as `late`); a lease that was granted by a lost answer expires.
   */
  step(request: StepRequest): Promise<StepResult>
  /** Prolongs all leases of the worker. On a rejection try again; after `leaseMs` without success count all as lost. */
  heartbeat(worker: string, leaseMs: number): Promise<Heartbeat>
  /**
   * Moves jobs that run long into leases of their own, so that the rest of their batch can be let go. Gives their new
   * leases in the order given; `undefined` where the old lease was lost.
   */
  isolate(
    worker: string,
    leaseMs: number,
    jobs: readonly { readonly id: JobId; readonly lease: LeaseId }[],
  ): Promise<readonly (LeaseId | undefined)[]>
  /**
   * Hands all leases of the worker back, as if nothing had been claimed, and forgets its idle mark. For the end of a runner,
   * after its last step. Idempotent.
   */
  leave(worker: string): Promise<void>
  /**
   * Ends leases that have expired: their jobs count the attempt and come back after a random wait in [0, cap], or are dead.
   * Every runner calls it each second or so, whoever comes first does the work.
   */
  rescue(backoff: { readonly baseMs: number; readonly capMs: number }): Promise<readonly Rescued[]>
  /** Saves how far a run is (JSON text). False when its lease was lost. */
  progress(id: JobId, lease: LeaseId, value: string): Promise<boolean>
  /**
   * Hears of work and cancellations as they happen. May be deaf (`capabilities.listen`), and may miss any: polling and the
   * heartbeat are what can be relied on. `onGap`: messages may have been lost.
   */
  subscribe(listener: WakeListener): Promise<() => Promise<void>>
}

export interface WakeListener {
  onWork(queue: string): void
  /** Perhaps of a job that runs here, perhaps of one that does not. */
  onCancel(id: JobId): void
  onGap(): void
}

export interface Rescued {
  readonly id: JobId
  readonly queue: string
  readonly kind: string
  /** The attempt that was lost. */
  readonly attempt: number
  readonly dead: boolean
}

/** One job as people see it. */
export interface JobRecord {
  readonly id: JobId
  readonly kind: string
  readonly queue: string
  readonly state: JobState
  readonly priority: Priority
  /** Attempts begun and counted. */
  readonly attempt: number
  readonly maxAttempts: number
  readonly payload: unknown
  readonly runAt: Date
  readonly createdAt: Date
  readonly finishedAt: Date | undefined
  readonly runMs: number | undefined
  readonly tenantId: string | undefined
  readonly key: string | undefined
  readonly dedupeKey: string | undefined
  readonly tags: readonly string[]
  readonly meta: JobMeta
  readonly timeoutMs: number | undefined
  readonly progress: unknown
  readonly output: unknown
  /** The latest failure. */
  readonly error: JobError | undefined
  readonly deadReason: DeadReason | undefined
  /** Runs, and somebody wants it ended. */
  readonly cancelRequested: boolean
  readonly worker: string | undefined
}

export interface JobFilter {
  readonly state?: JobState | readonly JobState[]
  readonly queue?: string
  readonly kind?: string
  readonly tenantId?: string
  readonly tag?: string
  readonly key?: string
  readonly ids?: readonly JobId[]
}

export interface ListRequest {
  readonly filter: JobFilter
  /** 1 to 1000. */
  readonly limit: number
  /** Jobs with smaller ids than this; newest first. */
  readonly before?: JobId | undefined
}

export interface QueueStats {
  readonly queue: string
  readonly counts: Readonly<Record<JobState, number>>
  /** Milliseconds that the longest waiting ready job has been due; 0 without one. */
  readonly oldestMs: number
  readonly paused: boolean
}

/** Cost spread evenly after a burst (GCRA). */
export interface JobRate {
  readonly limit: number
  readonly periodMs: number
  /** Default `limit`. */
  readonly burst?: number
}

/** What holds for a queue in all processes. Absent: no limit. */
export interface QueueSettings {
  readonly paused?: boolean
  /** Jobs that run at once, over all processes. */
  readonly concurrency?: number
  readonly rate?: JobRate
  /** The same for each key (`NewJob.key`: by default the tenant). Any of these, or `fair`, makes the queue serve keys in turn. */
  readonly perKey?: { readonly concurrency?: number; readonly rate?: JobRate }
  readonly fair?: boolean
}

export interface CancelResult {
  /** Ended before they began. */
  readonly cancelled: readonly JobId[]
  /** Running; their handlers are told. */
  readonly requested: readonly JobId[]
}

export interface RedriveRequest {
  /** Dead jobs only; `state` is ignored. */
  readonly filter: JobFilter
  /** Most jobs, oldest first. Default all. */
  readonly limit?: number | undefined
  /** Spreads their times: so many per second. Default: all at once. */
  readonly perSecond?: number | undefined
}

export interface MaintainRequest {
  /** Days of history that are kept; older partitions are dropped. */
  readonly historyDays: number
  /** Dead jobs are kept for so long. */
  readonly deadDays: number
}

export interface Maintained {
  readonly partitionsCreated: readonly string[]
  readonly partitionsDropped: readonly string[]
  readonly deadRemoved: number
}

export interface JobsCapabilities {
  /** Survives the process. */
  readonly durable: boolean
  /** Other processes see the same jobs. */
  readonly shared: boolean
  /** `subscribe` hears other processes. */
  readonly listen: boolean
  /** `tx` is honoured. Without it a call with `tx` is refused (`jobs.tx_unsupported`). */
  readonly transactions: boolean
  /** Statements can be in flight at once. */
  readonly concurrent: boolean
}

/**
 * What a store of jobs promises. Time is that of the store. Every method may reject with the errors of the store
 * (`db.*`); nothing else of it leaks. A promise of `add` that resolves without `tx` means committed.
 */
export interface JobsDriver extends DriverClaim {
  readonly name: string
  readonly capabilities: JobsCapabilities
  /** Opens and prepares (partitions). Idempotent. */
  start(): Promise<void>
  close(): Promise<void>

  /** All or nothing. Jobs get ids in the order given. */
  add(jobs: readonly NewJob[], options?: AddOptions): Promise<AddResult>

  get(id: JobId): Promise<JobRecord | undefined>
  /** Newest first. */
  list(request: ListRequest): Promise<readonly JobRecord[]>
  /** By queue. With `tenantId` only the jobs of that tenant count. */
  stats(queue?: string, tenantId?: string): Promise<readonly QueueStats[]>
  /** Ends jobs that do not run, asks for the end of those that do. Unknown and ended ids are in neither list. One that is claimed
   * at this very moment counts as cancelled: its worker is told, and whatever it reports finds nothing. */
  cancel(ids: readonly JobId[], tx?: Queryable): Promise<CancelResult>
  /** Makes dead jobs new (no attempts, same id), and waiting ones (scheduled, retrying) due at once. Gives those that it found. */
  retry(ids: readonly JobId[], tx?: Queryable): Promise<readonly JobId[]>
  /** How many dead jobs match. */
  countDead(filter: JobFilter): Promise<number>
  /** Makes matching dead jobs new. Gives how many. */
  redrive(request: RedriveRequest): Promise<number>
  /** Removes dead jobs for good. Gives how many. */
  removeDead(filter: JobFilter): Promise<number>

  /** Replaces the settings of a queue, for all processes at once. */
  configure(queue: string, settings: QueueSettings): Promise<void>
  /** Changes `paused` alone. */
  pause(queue: string, paused: boolean): Promise<void>
  settings(queue: string): Promise<QueueSettings>
  /** Creates partitions ahead, drops old ones, prunes. Safe from many processes. */
  maintain(request: MaintainRequest): Promise<Maintained>
}
