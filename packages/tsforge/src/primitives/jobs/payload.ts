import { createRequire } from 'node:module'
import type { Ajv2020, ValidateFunction } from 'ajv/dist/2020.js'
import { jobsErrors } from './errors.ts'
import { formats } from './formats.ts'
import type { PayloadCheck, PayloadSchema, StandardResult, StandardSchema } from './job.ts'

const require = createRequire(import.meta.url)
let ajv: Ajv2020 | undefined

/** How payloads of a kind are checked. Compiled when the first one comes. */
export function payloadCheck<Payload>(kind: string, schema: PayloadSchema | undefined): PayloadCheck<Payload> {
  if (schema === undefined) return (payload) => payload
  if ('~standard' in schema) return (payload) => checkStandard(kind, schema as StandardSchema, payload)
  let validate: ValidateFunction | undefined
  return (payload) => {
    validate ??= compile(schema)
    if (validate(payload)) return payload
    const [fault] = validate.errors ?? []
    throw invalid(kind, `${fault?.instancePath ?? ''} ${fault?.message ?? 'is not valid'}`.trim())
  }
}

/** Loads ajv with the first schema that needs it, since its hundred modules are a third of a start. */
function compile(schema: PayloadSchema): ValidateFunction {
  if (ajv === undefined) {
    const module = require('ajv/dist/2020.js') as { Ajv2020: new (options: object) => Ajv2020 }
    ajv = new module.Ajv2020({ strict: false, formats })
  }
  return ajv.compile(schema)
}

function checkStandard(kind: string, schema: StandardSchema, payload: unknown): unknown {
  const accept = (result: StandardResult<unknown>): unknown => {
    if (result.issues === undefined) return result.value
    const [issue] = result.issues
    const path = (issue?.path ?? []).map((part) =>
      String(typeof part === 'object' && part !== null && 'key' in part ? part.key : part),
    )
    throw invalid(kind, `${path.length === 0 ? '' : `/${path.join('/')} `}${issue?.message ?? 'is not valid'}`)
  }
  const result = schema['~standard'].validate(payload)
  return result instanceof Promise ? result.then(accept) : accept(result)
}

/** NUL, or half of a surrogate pair: PostgreSQL stores neither in text. An even number of backslashes before it are text. */
const unstorable = /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f][0-9a-f]{2})/i

/** Whether PostgreSQL takes a JSON text. */
export function isStorable(text: string): boolean {
  return !text.includes('\\u') || !unstorable.test(text)
}

/** The JSON text that is stored. */
export function encodePayload(kind: string, value: unknown, limit: number): string {
  let text: string | undefined
  try {
    text = JSON.stringify(value)
  } catch (cause) {
    throw invalid(kind, 'it cannot be written as JSON', cause)
  }
  if (text === undefined) throw invalid(kind, 'it cannot be written as JSON')
  if (text.length * 3 > limit) {
    const bytes = Buffer.byteLength(text)
    if (bytes > limit) throw jobsErrors.error('jobs.payload_too_large', { meta: { kind, bytes, limit } })
  }
  if (!isStorable(text)) throw invalid(kind, 'it holds NUL or half of a character')
  return text
}

function invalid(kind: string, reason: string, cause?: unknown): Error {
  return jobsErrors.error('jobs.payload_invalid', { meta: { kind, reason }, cause })
}
