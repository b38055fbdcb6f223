import { checkHeader } from '../../../primitives/egress/index.ts'
import { webhooksErrors } from '../errors.ts'

/** What each delivery sets by itself, or what would mislead a receiver about who speaks. */
const reserved =
  /^(?:webhook-.*|svix-.*|ce-.*|content-type|content-encoding|user-agent|accept-encoding|stripe-signature|traceparent|tracestate)$/

/** Throws `egress.header_invalid`, `webhooks.header_reserved`. Names in lower case. */
export function checkHeaders(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const checked: Record<string, string> = Object.create(null) as Record<string, string>
  for (const [name, value] of Object.entries(headers)) {
    checkHeader(name, value)
    const lower = name.toLowerCase()
    if (reserved.test(lower)) throw webhooksErrors.error('webhooks.header_reserved', { meta: { name: lower } })
    checked[lower] = value
  }
  return checked
}
