import { eventsErrors } from './errors.ts'
import type { EventType } from './event.ts'

const part = '[a-z0-9_-]+'
const typePattern = new RegExp(`^${part}(?:\\.${part})*$`)
const filterPattern = new RegExp(`^(?:\\*\\*|(?:${part}|\\*)(?:\\.(?:${part}|\\*))*(?:\\.\\*\\*)?)$`)

/** Whether `text` can name a kind of event. */
export function isType(text: unknown): text is string {
  return typeof text === 'string' && text.length <= 128 && typePattern.test(text)
}

/** Whether `text` is a kind of event, or one with `*` for a part and `**` for the rest. */
export function isTypeFilter(text: unknown): text is string {
  return typeof text === 'string' && text.length <= 128 && filterPattern.test(text)
}

export type Wanted = readonly (EventType<never> | string)[] | EventType<never> | string

/**
 * The source of a regular expression, alike in JavaScript and PostgreSQL, that knows the kinds that are wanted; `undefined`: all.
 * Throws `events.definition_invalid`.
 */
export function matching(wanted: Wanted): string | undefined {
  const list = Array.isArray(wanted) ? (wanted as readonly (EventType<never> | string)[]) : [wanted as string]
  const texts = list.map((each) => (typeof each === 'string' ? each : each.type))
  const wrong = texts.find((text) => !isTypeFilter(text))
  if (wrong !== undefined || texts.length === 0) {
    const reason = `"to" must name kinds of events such as order.placed, order.* or **, not ${JSON.stringify(wrong)}`
    throw eventsErrors.error('events.definition_invalid', { meta: { name: String(wrong), reason } })
  }
  if (texts.includes('**')) return undefined
  return `^(?:${texts.map(expression).join('|')})$`
}

function expression(text: string): string {
  return text
    .split('.')
    .map((each) => (each === '**' ? '.+' : each === '*' ? '[^.]+' : each))
    .join('\\.')
}
