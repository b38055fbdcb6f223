import { BlockList, isIP, isIPv4 } from 'node:net'

/**
 * IPv4 blocks that are no public unicast: the IANA special-purpose registry (RFC 6890 and its updates), multicast,
 * and what clouds keep for themselves inside of public space.
 */
const refused4 = [
  '0.0.0.0/8', // this network; Linux connects 0.0.0.0 to itself
  '10.0.0.0/8', // private
  '100.64.0.0/10', // carrier-grade NAT; 100.100.100.200 is Alibaba's metadata service
  '127.0.0.0/8', // loopback
  '168.63.129.16/32', // Azure's host agent, in public space
  '169.254.0.0/16', // link-local; metadata services of AWS, Azure, GCP
  '172.16.0.0/12', // private
  '192.0.0.0/24', // protocol assignments; Oracle's metadata service
  '192.0.2.0/24', // documentation
  '192.31.196.0/24', // AS112
  '192.52.193.0/24', // AMT
  '192.88.99.0/24', // 6to4 relays
  '192.168.0.0/16', // private
  '192.175.48.0/24', // AS112
  '198.18.0.0/15', // benchmarks
  '198.51.100.0/24', // documentation
  '203.0.113.0/24', // documentation
  '224.0.0.0/4', // multicast
  '240.0.0.0/4', // reserved, broadcast
]

/** IPv6: only global unicast (2000::/3) counts, and of it not what leads elsewhere or nowhere. */
const refused6 = [
  '2001::/23', // protocol assignments: Teredo, ORCHID, benchmarks
  '2001:db8::/32', // documentation
  '2002::/16', // 6to4: carries any IPv4 address
  '2620:4f:8000::/48', // AS112
  '3fff::/20', // documentation
]

const refused = blocks([...refused4, ...refused6])
const global = blocks(['2000::/3'])

/** A set of CIDR blocks. Throws on what is none. */
export function blocks(list: readonly string[]): BlockList {
  const set = new BlockList()
  for (const text of list) {
    const [address = '', prefix, more] = text.split('/')
    const family = isIP(address)
    const width = family === 4 ? 32 : 128
    const bits = prefix === undefined ? width : Number(prefix)
    if (family === 0 || more !== undefined || !/^\d{1,3}$/.test(prefix ?? '0') || bits > width)
      throw new Error(`"${text.slice(0, 60)}" is neither an address nor a CIDR block`)
    set.addSubnet(address, bits, family === 4 ? 'ipv4' : 'ipv6')
  }
  return set
}

const mapped = /^(?:::|(?:0{1,4}:){5})ffff:([^:]+|([0-9a-f]{1,4}):([0-9a-f]{1,4}))$/i

/** IPv4 in its dual-stack form (`::ffff:10.0.0.1`, `::ffff:a00:1`) as plain IPv4, what the kernel makes of it. */
export function plainAddress(address: string): string {
  const [, tail, first, second] = mapped.exec(address) ?? []
  if (tail === undefined) return address
  if (first === undefined || second === undefined) return isIPv4(tail) ? tail : address
  const [high, low] = [Number.parseInt(first, 16), Number.parseInt(second, 16)]
  return [high >> 8, high & 255, low >> 8, low & 255].join('.')
}

/** Whether packets to the address leave for the public internet, and to one machine. Anything but an address: no. */
export function isPublicAddress(address: string): boolean {
  const plain = plainAddress(address)
  if (isIPv4(plain)) return !refused.check(plain, 'ipv4')
  // A zone (`%eth0`) belongs to link-local addresses alone.
  if (isIP(plain) === 0 || plain.includes('%')) return false
  return global.check(plain, 'ipv6') && !refused.check(plain, 'ipv6')
}

/** Whether one of `allowed` contains the address. */
export function isIn(allowed: BlockList, address: string): boolean {
  const plain = plainAddress(address)
  const family = isIP(plain)
  return family !== 0 && !plain.includes('%') && allowed.check(plain, family === 4 ? 'ipv4' : 'ipv6')
}
