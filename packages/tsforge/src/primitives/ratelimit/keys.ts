import { isIPv6 } from 'node:net'
import type { Actor } from '../../kernel/context.ts'

/** What a limit may look at to say whose call it is. */
export interface CountedCall {
  readonly ip: string
  /** Anonymous before authentication. */
  readonly actor: Actor
  readonly tenantId: string | null
  header(name: string): string | undefined
}

/**
 * Whose calls are counted together. `ip`: the network that the call comes from. `user`: whoever is signed in, person or
 * service. `api_key`: services only. `tenant`: all who work in it.
 */
export type KeyKind = 'ip' | 'user' | 'api_key' | 'tenant'

/** Names who is counted; `undefined` when the limit does not concern the call. */
export type KeyOf = (call: CountedCall) => string | undefined

/** The function behind a kind of key. */
export function keyOf(kind: KeyKind, ipv6Prefix: number): KeyOf {
  switch (kind) {
    case 'ip':
      return ({ ip }) => `ip:${networkOf(ip, ipv6Prefix)}`
    case 'user':
      return ({ actor }) => (actor.id === null ? undefined : `${actor.kind}:${actor.id}`)
    case 'api_key':
      return ({ actor }) => (actor.kind === 'service' && actor.id !== null ? `service:${actor.id}` : undefined)
    case 'tenant':
      return ({ tenantId }) => (tenantId === null ? undefined : `tenant:${tenantId}`)
  }
}

/**
 * The part of an address that its holder cannot choose: all of an IPv4 address, the first `ipv6Prefix` bits of an IPv6
 * one (providers hand out whole /64s). IPv4 within IPv6 (mapped, NAT64, 6to4) counts as IPv4.
 */
export function networkOf(ip: string, ipv6Prefix: number): string {
  // An address without a colon is IPv4: what most callers have.
  if (!ip.includes(':')) return ip === '' ? 'unknown' : ip
  if (!isIPv6(ip)) return 'unknown'
  const groups = groupsOf(ip)
  const embedded = embeddedIpv4(groups)
  if (embedded !== undefined) return embedded
  const parts: string[] = []
  for (let at = 0; at * 16 < ipv6Prefix; at++) {
    const bits = Math.min(16, ipv6Prefix - at * 16)
    parts.push((groups[at]! & (0xffff << (16 - bits)) & 0xffff).toString(16))
  }
  return `${parts.join(':')}::/${ipv6Prefix}`
}

/** The eight numbers of an IPv6 address (RFC 4291 section 2.2), in whatever way it is written. */
function groupsOf(ip: string): readonly number[] {
  const [address = ''] = ip.split('%')
  const [head = '', tail = ''] = address.split('::')
  const left = numbersOf(head)
  const right = numbersOf(tail)
  return [...left, ...new Array<number>(8 - left.length - right.length).fill(0), ...right]
}

function numbersOf(text: string): number[] {
  if (text === '') return []
  return text.split(':').flatMap((group) => {
    if (!group.includes('.')) return Number.parseInt(group, 16)
    const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number)
    return [a * 256 + b, c * 256 + d]
  })
}

function embeddedIpv4(groups: readonly number[]): string | undefined {
  const dotted = (at: number): string =>
    [groups[at]! >> 8, groups[at]! & 255, groups[at + 1]! >> 8, groups[at + 1]! & 255].join('.')
  const zeros = (from: number, to: number): boolean => groups.slice(from, to).every((group) => group === 0)
  // ::ffff:0:0/96 (RFC 4291), 64:ff9b::/96 (RFC 6052), 2002::/16 (RFC 3056).
  if (groups[5] === 0xffff && zeros(0, 5)) return dotted(6)
  if (groups[0] === 0x64 && groups[1] === 0xff9b && zeros(2, 6)) return dotted(6)
  return groups[0] === 0x2002 ? dotted(1) : undefined
}
