import type { EventType } from '../../../primitives/events/index.ts'
import { webhooksErrors } from '../errors.ts'

/** Whether an endpoint that asks for `wanted` gets events of `type`. `order.*` means all that begin so, `*` all. */
export function wants(wanted: readonly string[], type: string): boolean {
  return wanted.some((each) => each === type || (each.endsWith('*') && type.startsWith(each.slice(0, -1))))
}

const wildcard = /^(?:[a-z0-9_-]+\.)*\*$/

/** Throws `webhooks.event_type_unknown` for what no event can be. */
export function checkWanted(wanted: readonly string[], known: readonly EventType<never>[]): readonly string[] {
  const types = new Set(known.map(({ type }) => type))
  const wrong = wanted.find((each) => !types.has(each) && !wildcard.test(each))
  if (wrong !== undefined)
    throw webhooksErrors.error('webhooks.event_type_unknown', { meta: { type: wrong.slice(0, 128) } })
  return [...new Set(wanted)]
}
