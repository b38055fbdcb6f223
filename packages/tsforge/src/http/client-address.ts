import type { IncomingMessage } from 'node:http'
import { BlockList, isIP, isIPv4 } from 'node:net'

/** Whom to believe about where a request came from. */
export interface TrustedProxies {
  /** Believe this many hops, whoever they are; 0 for none. */
  readonly hops: number
  readonly blocks: BlockList | undefined
}

/**
 * Reads addresses, CIDR blocks, or one hop count. Throws on anything else, and on a block of everybody: the first
 * entry of X-Forwarded-For, which is the caller's own invention, would then be believed.
 */
export function parseTrustedProxies(values: readonly string[]): TrustedProxies {
  if (values.length === 0) return { hops: 0, blocks: undefined }
  if (values.length === 1 && /^\d{1,2}$/.test(values[0]!)) return { hops: Number(values[0]), blocks: undefined }
  const blocks = new BlockList()
  for (const value of values) {
    const [address = '', prefix] = value.split('/')
    const family = isIP(address)
    const width = family === 4 ? 32 : 128
    if (family === 0 || (prefix !== undefined && !(/^\d{1,3}$/.test(prefix) && Number(prefix) <= width))) {
      throw new Error(`"${value.slice(0, 60)}" is not an address, a CIDR block or a single hop count`)
    }
    if (Number(prefix ?? width) === 0)
      throw new Error(`"${value}" trusts everybody, callers included; name the proxies, or how many hops there are`)
    blocks.addSubnet(address, prefix === undefined ? width : Number(prefix), family === 4 ? 'ipv4' : 'ipv6')
  }
  return { hops: 0, blocks }
}

/**
 * The caller's address: the peer's own, or, when the peer is a trusted proxy, the last address in
 * X-Forwarded-For that no trusted proxy added. Entries of others are never looked at.
 */
export function clientAddress(req: IncomingMessage, trusted: TrustedProxies): string {
  const peer = plain(req.socket.remoteAddress ?? '')
  if (trusted.hops === 0 && trusted.blocks === undefined) return peer
  const forwarded = req.headers['x-forwarded-for']
  if (typeof forwarded !== 'string') return peer
  const chain = forwarded.split(',')
  let address = peer
  for (let hop = 0; chain.length > 0; hop++) {
    const believed = trusted.blocks === undefined ? hop < trusted.hops : contains(trusted.blocks, address)
    if (!believed) break
    const next = withoutPort(chain.pop()!.trim())
    if (isIP(next) === 0) break
    address = plain(next)
  }
  return address
}

export function contains(blocks: BlockList, address: string): boolean {
  const family = isIP(address)
  return family !== 0 && blocks.check(address, family === 4 ? 'ipv4' : 'ipv6')
}

/** IPv4 inside IPv6 (`::ffff:10.0.0.1`, how a dual-stack socket shows it) as plain IPv4. */
export function plain(address: string): string {
  return address.startsWith('::ffff:') && isIPv4(address.slice(7)) ? address.slice(7) : address
}

/** Some proxies add the port: `10.0.0.1:4711`, `[::1]:4711`. */
function withoutPort(entry: string): string {
  if (entry.startsWith('[')) return entry.slice(1, entry.indexOf(']'))
  const colon = entry.indexOf(':')
  return colon !== -1 && colon === entry.lastIndexOf(':') ? entry.slice(0, colon) : entry
}
