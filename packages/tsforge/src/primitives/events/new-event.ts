import { currentContext } from '../../kernel/context.ts'
import { isUuid, uuidv7 } from '../../kernel/ids.ts'
import { encodeData } from './define-event.ts'
import type { NewEvent } from './driver.ts'
import { eventsErrors } from './errors.ts'
import type { EventType } from './event.ts'
import type { EmitOptions } from './outbox.ts'

/** What events take along from the unit of work that emits them. */
export interface Carried {
  readonly tenantId: string | undefined
  readonly actor: string | undefined
  readonly trace: string | undefined
}

const nothing: Carried = { tenantId: undefined, actor: undefined, trace: undefined }

export function carry(): Carried {
  const context = currentContext()
  if (context === undefined) return nothing
  const { actor, trace, tenantId } = context
  return {
    tenantId: tenantId ?? undefined,
    actor: actor.id === null ? actor.kind : `${actor.kind}:${actor.id}`,
    trace: trace && `00-${trace.traceId}-${trace.spanId}-${trace.sampled ? '01' : '00'}`,
  }
}

/** A checked event as a driver takes it. Throws `events.option_invalid` and the errors of data. */
export function newEvent<Data>(
  type: EventType<Data>,
  data: Data,
  value: unknown,
  options: EmitOptions | undefined,
  carried: Carried,
  { source, limit }: { readonly source: string; readonly limit: number },
): NewEvent {
  const subject = options?.subject ?? type.subject?.(data)
  const key = options?.key ?? type.key?.(data) ?? subject
  const { tenantId = carried.tenantId ?? null } = options ?? {}
  checkText('subject', subject, 1000)
  checkText('key', key, 200)
  if (tenantId !== null && !isUuid(tenantId)) throw optionInvalid('tenantId', 'it is no UUID')
  return {
    id: uuidv7(),
    type: type.type,
    version: type.version,
    source,
    data: encodeData(type.type, value, limit),
    subject,
    key,
    tenantId: tenantId ?? undefined,
    actor: carried.actor,
    trace: carried.trace,
  }
}

export function optionInvalid(option: string, reason: string): Error {
  return eventsErrors.error('events.option_invalid', { meta: { option, reason } })
}

function checkText(option: string, text: string | undefined, most: number): void {
  if (text === undefined) return
  const right =
    typeof text === 'string' && text !== '' && text.length <= most && !text.includes('\0') && text.isWellFormed()
  if (!right) throw optionInvalid(option, `1 to ${most} characters, without NUL`)
}
