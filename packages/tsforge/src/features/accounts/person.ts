import { isIP, isIPv6 } from 'node:net'
import { accountsErrors } from './errors.ts'

const maxName = 120
const maxUserAgent = 512
/** Controls, line separators, bidirectional overrides, halves of a character: what could hide or reorder the rest. */
const unprintable = /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\u202A-\u202E\u2066-\u2069]/u

/** Where a call comes from. */
export interface Device {
  /** Client address after trusted proxies. */
  readonly ip?: string | undefined
  readonly userAgent?: string | undefined
}

/** A display name: trimmed, NFC, 1 to 120 printable code points. Throws `user.name_invalid`. */
export function readName(name: string): string {
  const trimmed = name.trim().normalize('NFC')
  const length = trimmed.length > 2 * maxName ? maxName + 1 : [...trimmed].length
  if (length < 1 || length > maxName || unprintable.test(trimmed)) {
    throw accountsErrors.error('user.name_invalid', { meta: { field: 'name' } })
  }
  return trimmed
}

/** The first `max` code points, so that no character is cut in two. */
export function firstCodePoints(text: string, max: number): string {
  if (text.length <= max) return text
  return [...text.slice(0, 2 * max)].slice(0, max).join('')
}

/** A user agent that can be stored: no control characters (PostgreSQL refuses NUL), at most 512 code points. */
export function cleanUserAgent(userAgent: string | undefined): string | null {
  if (userAgent === undefined) return null
  const clean = firstCodePoints(userAgent, maxUserAgent)
    .toWellFormed()
    .replace(/\p{Cc}/gu, '')
    .trim()
  return clean === '' ? null : clean
}

/** The address in its plain form, or `null` when it is none. IPv4 inside IPv6 is IPv4. */
export function cleanIp(ip: string | undefined): string | null {
  if (ip === undefined) return null
  const bare = ip.split('%', 1)[0]!
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(bare)?.[1] ?? bare
  return isIP(mapped) === 0 ? null : mapped.toLowerCase()
}

/**
 * What one subscriber holds: an IPv4 address, or an IPv6 /64 (whose addresses cost nothing). Callers without an
 * address share one network.
 */
export function networkOf(ip: string | null): string {
  if (ip === null) return 'unknown'
  return isIPv6(ip) ? `${firstGroups(ip).join(':')}::/64` : ip
}

function firstGroups(ip: string): string[] {
  // A trailing dotted quad stands for two groups; its value is beyond the first 64 bits.
  const [head = '', tail] = ip.replace(/\d+\.\d+\.\d+\.\d+$/, '0:0').split('::', 2)
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = Array<string>(Math.max(0, 8 - left.length - right.length)).fill('0')
  return [...left, ...zeros, ...right].slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16))
}
