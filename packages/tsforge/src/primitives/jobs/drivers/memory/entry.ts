import type {
  ClaimedJob,
  DeadReason,
  JobError,
  JobId,
  JobMeta,
  JobRecord,
  JobState,
  LeaseId,
  NewJob,
} from '../../driver.ts'

/** A job in memory. */
export interface Entry {
  readonly id: JobId
  readonly job: NewJob
  key: string | undefined
  readonly createdMs: number
  /** Changes only while it is in no heap. */
  dueMs: number
  lane: number
  attempt: number
  lease: LeaseId | undefined
  dedupeKey: string | undefined
  error: JobError | undefined
  progress: string | undefined
  cancelRequested: boolean
  /** `open` until it ends. */
  end: 'open' | 'done' | 'dead' | 'cancelled' | 'gone'
  endedMs: number | undefined
  runMs: number | undefined
  output: string | undefined
  deadReason: DeadReason | undefined
}

export const lost: JobError = { name: 'Lost', message: 'The process that ran it went away.' }

export function newEntry(id: JobId, job: NewJob, key: string | undefined, createdMs: number, dueMs: number): Entry {
  const { dedupe, priority } = job
  return {
    id,
    job,
    key,
    createdMs,
    dueMs,
    lane: priority,
    attempt: 0,
    lease: undefined,
    dedupeKey: dedupe?.mode === 'throttle' ? undefined : dedupe?.key,
    error: undefined,
    progress: undefined,
    cancelRequested: false,
    end: 'open',
    endedMs: undefined,
    runMs: undefined,
    output: undefined,
    deadReason: undefined,
  }
}

export function stateOf(entry: Entry, nowMs: number): JobState {
  if (entry.end !== 'open') return entry.end === 'gone' ? 'done' : entry.end
  if (entry.lease !== undefined) return 'running'
  if (entry.attempt > 0) return 'retrying'
  return entry.dueMs > nowMs ? 'scheduled' : 'ready'
}

export function recordOf(entry: Entry, nowMs: number, worker: string | undefined): JobRecord {
  const { job } = entry
  return {
    id: entry.id,
    kind: job.kind,
    queue: job.queue,
    state: stateOf(entry, nowMs),
    priority: job.priority,
    attempt: entry.attempt,
    maxAttempts: job.maxAttempts,
    payload: JSON.parse(job.payload) as unknown,
    runAt: new Date(entry.dueMs),
    createdAt: new Date(entry.createdMs),
    finishedAt: entry.endedMs === undefined ? undefined : new Date(entry.endedMs),
    runMs: entry.runMs,
    tenantId: job.tenantId,
    key: entry.key,
    dedupeKey: entry.dedupeKey,
    tags: job.tags ?? [],
    meta: metaOf(job),
    timeoutMs: job.timeoutMs,
    progress: parsed(entry.progress),
    output: parsed(entry.output),
    error: entry.error,
    deadReason: entry.deadReason,
    cancelRequested: entry.cancelRequested && entry.lease !== undefined,
    worker,
  }
}

export function metaOf({ meta }: NewJob): JobMeta {
  return meta === undefined ? {} : (JSON.parse(meta) as JobMeta)
}

function parsed(text: string | undefined): unknown {
  return text === undefined ? undefined : (JSON.parse(text) as unknown)
}

export function claimed(entry: Entry, lease: LeaseId): ClaimedJob {
  const { job } = entry
  return {
    id: entry.id,
    lease,
    queue: job.queue,
    kind: job.kind,
    attempt: entry.attempt + 1,
    maxAttempts: job.maxAttempts,
    payload: JSON.parse(job.payload) as unknown,
    runAtMs: entry.dueMs,
    createdAtMs: entry.createdMs,
    timeoutMs: job.timeoutMs,
    key: entry.key,
    tenantId: job.tenantId,
    tags: job.tags ?? [],
    meta: metaOf(job),
  }
}
