import { isUuid } from '../../../kernel/ids.ts'
import { system } from '../../../kernel/context.ts'
import type { Actor, RequestContext, TraceContext } from '../../../kernel/context.ts'
import type { LoggedEvent } from '../driver.ts'

/** The unit of work of one delivery: who emitted the event acts in it, in the event's tenant. */
export class EventContext implements RequestContext {
  readonly requestId: string
  actor: Actor
  tenantId: string | null
  locale = 'en'
  trace: TraceContext | undefined
  wrote = false
  readonly signal: AbortSignal | undefined
  readonly kind: object

  constructor({ id, actor, tenantid, traceparent }: LoggedEvent, signal: AbortSignal | undefined, kind: object) {
    this.requestId = id
    this.actor = actorOf(actor)
    this.tenantId = tenantid ?? null
    this.trace = traceOf(traceparent)
    this.signal = signal
    this.kind = kind
  }
}

const kinds: ReadonlySet<string> = new Set<Actor['kind']>(['anonymous', 'user', 'service', 'system'])

function actorOf(text: string | undefined): Actor {
  const [kind = '', id] = (text ?? '').split(':')
  if (!kinds.has(kind)) return system
  return { kind: kind as Actor['kind'], id: isUuid(id) ? id : null }
}

function traceOf(text: string | undefined): TraceContext | undefined {
  const [, traceId, spanId, flags] = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/.exec(text ?? '') ?? []
  if (traceId === undefined || spanId === undefined) return undefined
  return { traceId, spanId, sampled: (Number.parseInt(flags!, 16) & 1) === 1 }
}
