import { isIP } from 'node:net'
import { egressErrors } from './errors.ts'

export interface TargetRules {
  /** Without the colon, e.g. `https`. */
  readonly schemes: readonly string[]
  readonly ports: readonly number[]
}

export interface Target {
  readonly url: URL
  /** Host as the resolver gets it: no brackets, no final dot, lower case. */
  readonly host: string
  readonly port: number
  readonly tls: boolean
}

const longestUrl = 2048
const ownPorts: Readonly<Record<string, number>> = { 'https:': 443, 'http:': 80 }
/** Names that mean a machine of ours whatever DNS says (RFC 6761, RFC 6762, RFC 9476, ICANN's private use). */
const localNames = /(?:^|\.)(?:localhost|local|localdomain|internal|intranet|home\.arpa|lan|alt|onion)$/

/**
 * Reads a URL that a user gave. Looked at after parsing, since parsing turns `http://2130706433`, `0x7f.1` and
 * full-width digits into 127.0.0.1.
 */
export function readTarget(text: string, rules: TargetRules): Target {
  if (text.length > longestUrl) throw egressErrors.error('egress.url_invalid', { meta: { reason: 'too long' } })
  const url = URL.parse(text)
  if (url === null || url.host === '') throw egressErrors.error('egress.url_invalid')
  if (!rules.schemes.includes(url.protocol.slice(0, -1)) || !Object.hasOwn(ownPorts, url.protocol))
    throw egressErrors.error('egress.scheme_refused', { meta: { allowed: rules.schemes } })
  if (url.username !== '' || url.password !== '')
    throw egressErrors.error('egress.url_invalid', { meta: { reason: 'user name or password' } })
  if (url.hash !== '') throw egressErrors.error('egress.url_invalid', { meta: { reason: 'fragment' } })
  const port = url.port === '' ? ownPorts[url.protocol]! : Number(url.port)
  if (!rules.ports.includes(port)) throw egressErrors.error('egress.port_refused', { meta: { allowed: rules.ports } })
  const host = url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '')
  if (host === '') throw egressErrors.error('egress.url_invalid')
  return { url, host, port, tls: url.protocol === 'https:' }
}

/** Whether the name is one for machines of a local network: single words and reserved endings. */
export function isLocalName(host: string): boolean {
  return isIP(host) === 0 && (!host.includes('.') || localNames.test(host))
}
