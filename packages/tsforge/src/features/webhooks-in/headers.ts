import type { Headers } from './verifier.ts'

const credential = /authorization|cookie|signature|secret|token|password|api-?key|hmac/

/** What may be kept: no credentials, no signatures. A signature in a table would be as good as a captured request. */
export function storableHeaders(headers: Headers, signatureHeaders: readonly string[]): Record<string, string> {
  const kept: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || credential.test(name) || signatureHeaders.includes(name)) continue
    kept[name] = typeof value === 'string' ? value : value.join(', ')
  }
  return kept
}
