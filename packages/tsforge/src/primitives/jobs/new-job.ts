import { currentContext } from '../../kernel/context.ts'
import type { RequestContext } from '../../kernel/context.ts'
import { isUuid } from '../../kernel/ids.ts'
import { isCount, isName, longestMs } from './define-job.ts'
import type { Dedupe, NewJob } from './driver.ts'
import { jobsErrors } from './errors.ts'
import type { Job } from './job.ts'
import type { EnqueueOptions } from './jobs.ts'
import { encodePayload } from './payload.ts'

/** What jobs take along from the unit of work that adds them. */
export interface Carried {
  readonly tenantId: string | undefined
  readonly meta: string | undefined
}

/** A request adds few jobs and a bulk addition many: the text is made once for each unit of work. */
const carried = new WeakMap<RequestContext, Carried & { readonly actor: unknown; readonly tenant: unknown }>()
const nothing: Carried = { tenantId: undefined, meta: undefined }

export function carry(): Carried {
  const context = currentContext()
  if (context === undefined) return nothing
  const known = carried.get(context)
  // Authentication and the tenant gate replace these.
  if (known !== undefined && known.actor === context.actor && known.tenant === context.tenantId) return known
  const { actor, trace, tenantId } = context
  const meta = JSON.stringify({
    actor: [actor.kind, actor.id],
    trace: trace && `00-${trace.traceId}-${trace.spanId}-${trace.sampled ? '01' : '00'}`,
  })
  const made = { tenantId: tenantId ?? undefined, meta, actor, tenant: tenantId }
  carried.set(context, made)
  return made
}

/** A checked payload and its options as a driver takes them. Throws `jobs.option_invalid` and the errors of payloads. */
export function newJob<Payload>(
  job: Job<Payload>,
  payload: Payload,
  value: unknown,
  options: EnqueueOptions | undefined,
  { tenantId, meta }: Carried,
  limit: number,
): NewJob {
  const { kind } = job
  const text = encodePayload(kind, value, limit)
  const dedupe = dedupeOf(options?.dedupe) ?? job.dedupe?.(payload)
  const key = options?.key ?? job.key?.(payload)
  if (dedupe !== undefined) checkDedupe(kind, dedupe)
  if (key !== undefined) checkText(kind, 'key', key, 200)
  if (options === undefined) {
    return {
      kind,
      queue: job.queue,
      payload: text,
      priority: job.priority,
      maxAttempts: job.maxAttempts,
      delayMs: 0,
      timeoutMs: job.timeoutMs,
      key,
      dedupe,
      tags: job.tags,
      tenantId,
      meta,
    }
  }
  const {
    queue = job.queue,
    priority = job.priority,
    maxAttempts = job.maxAttempts,
    timeoutMs = job.timeoutMs,
  } = options
  const { delayMs = 0, runAt, tags = job.tags, tenantId: tenant = tenantId } = options
  const must = (option: string, right: boolean, reason: string): void => {
    if (!right) throw jobsErrors.error('jobs.option_invalid', { meta: { kind, option, reason } })
  }
  must('queue', isName(queue), '1 to 128 letters, digits and ._:-')
  must('priority', [1, 2, 3, 4].includes(priority), '1, 2, 3 or 4')
  must('maxAttempts', isCount(maxAttempts, 1000), '1 to 1000')
  must('timeoutMs', timeoutMs === undefined || isCount(timeoutMs, longestMs), '1 to 2147483647')
  must('delayMs', Number.isFinite(delayMs) && delayMs >= 0 && delayMs <= farthestMs, '0 to 100 years')
  const runAtMs = runAt?.getTime()
  must('runAt', runAtMs === undefined || (runAtMs >= 0 && runAtMs <= lastMs), 'a moment from 1970 to 9999')
  must('tenantId', tenant === null || tenant === undefined || isUuid(tenant), 'a UUID')
  if (tags !== undefined) {
    must('tags', tags.length <= 20, 'at most 20 texts')
    for (const tag of tags) checkText(kind, 'tags', tag, 100)
  }
  return {
    kind,
    queue,
    payload: text,
    priority,
    maxAttempts,
    delayMs,
    runAtMs,
    timeoutMs,
    key,
    dedupe,
    tags,
    tenantId: tenant ?? undefined,
    meta,
  }
}

const farthestMs = 100 * 366 * 86_400_000
const lastMs = Date.UTC(9999, 0)

function dedupeOf(dedupe: string | Dedupe | undefined): Dedupe | undefined {
  return typeof dedupe === 'string' ? { key: dedupe, mode: 'skip' } : dedupe
}

function checkDedupe(kind: string, { key, mode, windowMs }: Dedupe): void {
  // A row of a B-tree holds 2704 bytes.
  checkText(kind, 'dedupe.key', key, 500)
  const must = (right: boolean, reason: string): void => {
    if (!right) throw jobsErrors.error('jobs.option_invalid', { meta: { kind, option: 'dedupe', reason } })
  }
  must(['skip', 'replace', 'debounce', 'throttle'].includes(mode), 'its mode is skip, replace, debounce or throttle')
  if (mode === 'debounce' || mode === 'throttle')
    must(isCount(windowMs, farthestMs), `${mode} needs windowMs, a whole number of milliseconds`)
}

function checkText(kind: string, option: string, text: unknown, most: number): void {
  const right =
    typeof text === 'string' && text !== '' && text.length <= most && !text.includes('\0') && text.isWellFormed()
  if (!right) {
    const reason = `1 to ${most} characters, without NUL`
    throw jobsErrors.error('jobs.option_invalid', { meta: { kind, option, reason } })
  }
}
