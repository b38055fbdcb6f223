import { mailerErrors } from './errors.ts'

/**
 * What no header may hold: controls (line breaks among them), the separators that some programs break lines at, marks
 * that turn the reading direction of what follows, and halves of characters.
 */
const forbidden = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]|\p{Cs}/u

const names: Readonly<Record<number, string>> = { 0: 'NUL', 9: 'a tab', 10: 'a line break', 13: 'a line break' }

/** Throws `mailer.message_invalid` unless `value` is a text that can stand in a header. */
export function checkLine(field: string, value: unknown, longest = 998): asserts value is string {
  if (typeof value !== 'string') refuse(field, 'must be a text')
  if (value.length > longest) refuse(field, `is longer than ${longest} characters`)
  const found = forbidden.exec(value)
  if (found === null) return
  const code = found[0].codePointAt(0)!
  refuse(field, `holds ${names[code] ?? `the character U+${code.toString(16).toUpperCase().padStart(4, '0')}`}`)
}

export function refuse(field: string, reason: string): never {
  throw mailerErrors.error('mailer.message_invalid', { meta: { field, reason } })
}
