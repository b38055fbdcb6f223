import type { Localized } from '../kernel/errors.ts'

/** What is wrong with one place of the input. */
export interface FieldFault {
  readonly in: 'body' | 'query' | 'params'
  /** JSON Pointer (RFC 6901) to the place; empty for the whole. */
  readonly path: string
  /** Stable word for programs: `required`, `unknown`, `type`, `too_short`, … */
  readonly code: string
  /** Sentence in the caller's language. */
  readonly message: string
  /** The rule's own numbers and names. */
  readonly params?: Readonly<Record<string, unknown>>
}

interface Rule {
  readonly code: string
  readonly message: Localized
  /** Name of the parameter that the sentence shows. */
  readonly param?: string
}

/** JSON Schema keyword → code and sentences. */
const rules: Readonly<Record<string, Rule>> = {
  required: { code: 'required', message: { en: 'is required', id: 'wajib diisi' } },
  additionalProperties: { code: 'unknown', message: { en: 'is not known here', id: 'tidak dikenal di sini' } },
  unevaluatedProperties: { code: 'unknown', message: { en: 'is not known here', id: 'tidak dikenal di sini' } },
  type: { code: 'type', message: { en: 'must be {type}', id: 'harus berupa {type}' }, param: 'type' },
  format: {
    code: 'format',
    message: { en: 'must be a valid {format}', id: 'harus berupa {format} yang valid' },
    param: 'format',
  },
  pattern: { code: 'pattern', message: { en: 'does not have the right form', id: 'bentuknya tidak sesuai' } },
  enum: {
    code: 'not_allowed',
    message: { en: 'must be one of {allowed}', id: 'harus salah satu dari {allowed}' },
    param: 'allowed',
  },
  const: { code: 'not_allowed', message: { en: 'must be {allowed}', id: 'harus {allowed}' }, param: 'allowed' },
  minLength: {
    code: 'too_short',
    message: { en: 'must have at least {limit} characters', id: 'minimal {limit} karakter' },
    param: 'limit',
  },
  maxLength: {
    code: 'too_long',
    message: { en: 'must have at most {limit} characters', id: 'maksimal {limit} karakter' },
    param: 'limit',
  },
  minimum: { code: 'too_small', message: { en: 'must be at least {limit}', id: 'minimal {limit}' }, param: 'limit' },
  exclusiveMinimum: {
    code: 'too_small',
    message: { en: 'must be greater than {limit}', id: 'harus lebih dari {limit}' },
    param: 'limit',
  },
  maximum: { code: 'too_large', message: { en: 'must be at most {limit}', id: 'maksimal {limit}' }, param: 'limit' },
  exclusiveMaximum: {
    code: 'too_large',
    message: { en: 'must be less than {limit}', id: 'harus kurang dari {limit}' },
    param: 'limit',
  },
  multipleOf: {
    code: 'not_a_multiple',
    message: { en: 'must be a multiple of {multiple}', id: 'harus kelipatan {multiple}' },
    param: 'multiple',
  },
  minItems: {
    code: 'too_few',
    message: { en: 'must have at least {limit} entries', id: 'minimal {limit} entri' },
    param: 'limit',
  },
  maxItems: {
    code: 'too_many',
    message: { en: 'must have at most {limit} entries', id: 'maksimal {limit} entri' },
    param: 'limit',
  },
  minProperties: {
    code: 'too_few',
    message: { en: 'must have at least {limit} keys', id: 'minimal {limit} kunci' },
    param: 'limit',
  },
  maxProperties: {
    code: 'too_many',
    message: { en: 'must have at most {limit} keys', id: 'maksimal {limit} kunci' },
    param: 'limit',
  },
  uniqueItems: {
    code: 'duplicate',
    message: { en: 'must not hold the same entry twice', id: 'tidak boleh memuat entri yang sama dua kali' },
  },
}

const other: Rule = { code: 'invalid', message: { en: 'is not valid', id: 'tidak valid' } }

/** Code and sentence for a violated keyword. */
export function describeFault(
  keyword: string,
  value: unknown,
  locale: string,
): Pick<FieldFault, 'code' | 'message' | 'params'> {
  const rule = rules[keyword] ?? other
  const sentence = rule.message[locale] ?? rule.message.en
  if (rule.param === undefined) return { code: rule.code, message: sentence }
  const shown = Array.isArray(value) ? value.map(show).join(', ') : show(value)
  return { code: rule.code, message: sentence.replace(`{${rule.param}}`, () => shown), params: { [rule.param]: value } }
}

function show(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}
