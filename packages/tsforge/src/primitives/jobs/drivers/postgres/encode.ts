import type { ClaimedJob, Finished, JobMeta, LeaseId, NewJob } from '../../driver.ts'

/** What no JSON text contains: JSON escapes all control characters. */
const separator = '\u001e'

export function payloadsOf(jobs: readonly NewJob[]): string {
  return jobs.length === 1 ? jobs[0]!.payload : jobs.map((job) => job.payload).join(separator)
}

/** All but the payload, one for all jobs where they agree, else one for each. */
export function headsOf(jobs: readonly NewJob[]): string {
  const first = headOf(jobs[0]!)
  const heads = [first]
  let alike = true
  for (let i = 1; i < jobs.length; i++) {
    const head = sameHead(jobs[i]!, jobs[0]!) ? first : headOf(jobs[i]!)
    alike &&= head === first
    heads.push(head)
  }
  return alike ? `[${first}]` : `[${heads.join()}]`
}

/** One head for each job, keys included. */
export function keyedHeadsOf(jobs: readonly NewJob[]): string {
  return `[${jobs.map(headOf).join()}]`
}

function sameHead(a: NewJob, b: NewJob): boolean {
  return (
    a.kind === b.kind &&
    a.queue === b.queue &&
    a.priority === b.priority &&
    a.maxAttempts === b.maxAttempts &&
    a.delayMs === b.delayMs &&
    a.runAtMs === b.runAtMs &&
    a.timeoutMs === b.timeoutMs &&
    a.key === b.key &&
    a.tenantId === b.tenantId &&
    a.tags === b.tags &&
    a.meta === b.meta
  )
}

function headOf(job: NewJob): string {
  const { dedupe, meta } = job
  const text = JSON.stringify({
    kind: job.kind,
    queue: job.queue,
    priority: job.priority,
    max: job.maxAttempts,
    delay: job.delayMs,
    at: job.runAtMs,
    timeout: job.timeoutMs,
    key: job.key,
    tenant: job.tenantId,
    tags: job.tags === undefined || job.tags.length === 0 ? undefined : job.tags,
    dedupe: dedupe?.key,
    mode: dedupe?.mode,
    win: dedupe?.windowMs,
  })
  return meta === undefined ? text : `${text.slice(0, -1)},"meta":${meta}}`
}

/** Reports in the form that `forge_jobs_step` takes: plain successes as arrays, the rest as JSON. */
export interface Reports {
  readonly fence: LeaseId[]
  readonly drop: number[]
  readonly dropLease: number[]
  readonly keep: number[]
  readonly keepLease: number[]
  readonly keepMs: number[]
  readonly other: string | null
}

export function reportsOf(finished: readonly Finished[], perLease: ReadonlyMap<LeaseId, number>): Reports {
  const reports = { drop: [], dropLease: [], keep: [], keepLease: [], keepMs: [] } as {
    [K in 'drop' | 'dropLease' | 'keep' | 'keepLease' | 'keepMs']: number[]
  }
  const other: string[] = []
  for (const report of finished) {
    if (report.as !== 'done' || (report.keep && report.output !== undefined)) other.push(otherOf(report))
    else if (report.keep) {
      reports.keep.push(report.id)
      reports.keepLease.push(report.lease)
      reports.keepMs.push(wholeMs(report.runMs))
    } else {
      reports.drop.push(report.id)
      reports.dropLease.push(report.lease)
    }
  }
  return { ...reports, fence: [...perLease.keys()], other: other.length === 0 ? null : `[${other.join()}]` }
}

function otherOf(report: Finished): string {
  const { id, lease, as } = report
  if (as === 'done') {
    return `{"id":${id},"lease":${lease},"as":"done","ms":${wholeMs(report.runMs)},"output":${report.output ?? 'null'}}`
  }
  return JSON.stringify({
    id,
    lease,
    as,
    delay: 'delayMs' in report ? report.delayMs : undefined,
    error: 'error' in report ? report.error : undefined,
  }).replaceAll('\\u0000', '\\ufffd')
}

function wholeMs(ms = 0): number {
  return Math.min(Math.max(0, Math.round(ms)), 2 ** 31 - 1)
}

/** One job of a claim, as `forge_jobs_step` writes it. */
export type Row = readonly [
  id: number,
  kind: string,
  attempt: number,
  maxAttempts: number,
  lane: number,
  runAtUs: number,
  /** 0: when it was due. */
  createdAtMs: number,
  payload: unknown,
  timeoutMs?: number | null,
  key?: string | null,
  tenantId?: string | null,
  tags?: readonly string[] | null,
  meta?: JobMeta | null,
]

const noTags: readonly string[] = []
const noMeta: JobMeta = {}

export function claimedJob(row: Row, queue: string, lease: LeaseId): ClaimedJob {
  const runAtMs = row[5] / 1000
  return {
    id: row[0],
    lease,
    queue,
    kind: row[1],
    attempt: row[2],
    maxAttempts: row[3],
    payload: row[7],
    runAtMs,
    createdAtMs: row[6] === 0 ? Math.round(runAtMs) : row[6],
    timeoutMs: row[8] ?? undefined,
    key: row[9] ?? undefined,
    tenantId: row[10] ?? undefined,
    tags: row[11] ?? noTags,
    meta: row[12] ?? noMeta,
  }
}
