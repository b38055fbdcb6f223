import { defineJob, isStorable, jobsErrors } from '../jobs/index.ts'
import type { PayloadSchema } from '../jobs/index.ts'
import { eventsErrors } from './errors.ts'
import type { DataOf, EventSpec, EventType } from './event.ts'
import { isType } from './match.ts'

/** Declares a kind of event. Throws `events.definition_invalid` at once when it cannot work. */
export function defineEvent<const S extends PayloadSchema>(
  spec: EventSpec<DataOf<S>> & { readonly schema: S },
): EventType<DataOf<S>>
export function defineEvent<Data = unknown>(spec: EventSpec<Data> & { readonly schema?: never }): EventType<Data>
export function defineEvent<Data>(spec: EventSpec<Data>): EventType<Data> {
  const { type, version = 1, schema } = spec
  const require = (right: boolean, reason: string): void => {
    if (!right) throw eventsErrors.error('events.definition_invalid', { meta: { name: String(type), reason } })
  }
  require(isType(type), 'type must be lower-case letters, digits and _- in parts with dots between, at most 128')
  require(Number.isInteger(version) && version >= 1 && version <= 32_767, 'version must be 1 to 32767')
  return { ...spec, version, check: checkOf<Data>(type, schema) }
}

/** Payloads of jobs and data of events are checked in one way. */
function checkOf<Data>(type: string, schema: PayloadSchema | undefined): (data: Data) => unknown {
  if (schema === undefined) return (data) => data
  const { check } = defineJob({ kind: type, schema })
  const translated = (error: unknown): never => {
    if (!jobsErrors.is(error, 'jobs.payload_invalid')) throw error
    throw invalid(type, String(error.meta?.['reason']), error)
  }
  return (data) => {
    try {
      const checked = check(data as never)
      return checked instanceof Promise ? checked.catch(translated) : checked
    } catch (error) {
      return translated(error)
    }
  }
}

/** The JSON text that is stored. Throws `events.data_invalid` and `events.data_too_large`. */
export function encodeData(type: string, value: unknown, limit: number): string {
  let text: string | undefined
  try {
    text = JSON.stringify(value)
  } catch (cause) {
    throw invalid(type, 'it cannot be written as JSON', cause)
  }
  if (text === undefined) throw invalid(type, 'it cannot be written as JSON')
  if (text.length * 3 > limit) {
    const bytes = Buffer.byteLength(text)
    if (bytes > limit) throw eventsErrors.error('events.data_too_large', { meta: { type, bytes, limit } })
  }
  if (!isStorable(text)) throw invalid(type, 'it holds NUL or half of a character')
  return text
}

function invalid(type: string, reason: string, cause?: unknown): Error {
  return eventsErrors.error('events.data_invalid', { meta: { type, reason }, cause })
}
