import { egressErrors } from './errors.ts'

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,128}$/
const visible = /^[\t\x20-\x7e\x80-\xff]{0,8192}$/
/** What frames the message or belongs to the connection (RFC 9110 section 7.6.1). */
const reserved = new Set([
  'host',
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'content-length',
  'upgrade',
  'expect',
])

/** Headers as they are sent; answers are wanted as they are, since decoding one is where bombs go off. */
export function sentHeaders(own: Readonly<Record<string, string>> = {}): Record<string, string> {
  const headers: Record<string, string> = { 'accept-encoding': 'identity' }
  for (const [name, value] of Object.entries(own)) {
    checkHeader(name, value)
    headers[name.toLowerCase()] = value
  }
  return headers
}

/** Throws `egress.header_invalid` for a header that a user may not set, or that HTTP cannot carry. */
export function checkHeader(name: string, value: string): void {
  if (!token.test(name) || reserved.has(name.toLowerCase()) || !visible.test(value))
    throw egressErrors.error('egress.header_invalid', { meta: { name: name.slice(0, 64) } })
}
