import { system } from '../../../kernel/context.ts'
import type { Actor, RequestContext, TraceContext } from '../../../kernel/context.ts'
import type { ClaimedJob, JobMeta } from '../driver.ts'

interface Run {
  readonly job: ClaimedJob
  readonly signal: AbortSignal
}

/** The unit of work of one run: who added the job acts in it, in the job's tenant. Cheap to make: most of it is read by few. */
export class JobContext implements RequestContext {
  actor: Actor
  tenantId: string | null
  locale = 'en'
  wrote = false
  readonly kind: object
  readonly #run: Run
  #trace: TraceContext | undefined | null = null

  constructor(run: Run, { meta, tenantId }: ClaimedJob, kind: object) {
    this.#run = run
    this.actor = actorOf(meta)
    this.tenantId = tenantId ?? null
    this.kind = kind
  }

  get requestId(): string {
    return String(this.#run.job.id)
  }

  get signal(): AbortSignal {
    return this.#run.signal
  }

  get trace(): TraceContext | undefined {
    if (this.#trace === null) this.#trace = traceOf(this.#run.job.meta.trace)
    return this.#trace
  }

  set trace(trace: TraceContext | undefined) {
    this.#trace = trace
  }
}

const kinds: ReadonlySet<string> = new Set<Actor['kind']>(['anonymous', 'user', 'service', 'system'])

function actorOf({ actor }: JobMeta): Actor {
  if (actor === undefined || !kinds.has(actor[0])) return system
  return { kind: actor[0] as Actor['kind'], id: actor[1] }
}

/** What `enqueue` has written: the form of a W3C traceparent. */
function traceOf(text: unknown): TraceContext | undefined {
  if (typeof text !== 'string') return undefined
  const [, traceId, spanId, flags] = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/.exec(text) ?? []
  if (traceId === undefined || spanId === undefined) return undefined
  return { traceId, spanId, sampled: (Number.parseInt(flags!, 16) & 1) === 1 }
}
