import { isName } from '../define-job.ts'
import { jobsErrors } from '../errors.ts'
import { isStorable } from '../payload.ts'

/** Bytes of the JSON of one result, signal or match. */
export const valueLimit = 262_144
export const matchLimit = 4096

/** JSON text that the store takes; `undefined` becomes `null`. Throws `jobs.step_invalid`, naming the step. */
export function encodeValue(step: string, value: unknown, limit: number = valueLimit): string {
  let text: string | undefined
  try {
    text = value === undefined ? 'null' : (JSON.stringify(value) as string | undefined)
  } catch (cause) {
    throw stepInvalid(step, 'its value cannot be written as JSON', cause)
  }
  if (text === undefined) throw stepInvalid(step, 'its value cannot be written as JSON')
  if (text.length * 3 > limit && Buffer.byteLength(text) > limit)
    throw stepInvalid(step, `its value is larger than ${limit} bytes`)
  if (!isStorable(text)) throw stepInvalid(step, 'its value holds NUL or half of a character')
  return text
}

export function checkStepName(name: unknown): asserts name is string {
  if (!isName(name)) throw stepInvalid(String(name).slice(0, 140), 'its name must be 1 to 128 letters, digits and ._:-')
}

export function checkEvent(step: string, event: unknown): asserts event is string {
  const right =
    typeof event === 'string' && event !== '' && event.length <= 200 && !event.includes('\0') && event.isWellFormed()
  if (!right) throw stepInvalid(step, 'its event must have 1 to 200 characters, without NUL')
}

export function stepInvalid(step: string, reason: string, cause?: unknown): Error {
  return jobsErrors.error('jobs.step_invalid', { meta: { step, reason }, cause })
}
