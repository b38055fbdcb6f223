/** Header names and values in turn, the shape that `writeHead` takes without copying. */
export type HeaderList = readonly string[]

/** CSP of the API: nothing may be loaded, nobody may frame it. */
export const apiPolicy = "default-src 'none'; frame-ancestors 'none'"
/** CSP of the documentation page: its own files only; swagger-ui shows some images as data: URLs. */
export const docsPolicy =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/** The security headers of a route policy, computed once at boot. */
export function securityHeaders(policy: string, hsts: boolean): HeaderList {
  const headers = [
    'content-security-policy',
    policy,
    'x-content-type-options',
    'nosniff',
    'x-frame-options',
    'DENY',
    'referrer-policy',
    'no-referrer',
    'permissions-policy',
    'camera=(), geolocation=(), microphone=(), payment=(), usb=()',
    'cross-origin-opener-policy',
    'same-origin',
    'cross-origin-resource-policy',
    'same-origin',
    'x-permitted-cross-domain-policies',
    'none',
  ]
  if (hsts) headers.push('strict-transport-security', 'max-age=31536000; includeSubDomains')
  return headers
}
