import fc from 'fast-check'
import ipaddr from 'ipaddr.js'
import { describe, expect, it } from 'vitest'
import { loadOptions } from '../../../kernel/options.ts'
import { egressOptions } from '../options.ts'
import { blocks, isIn, isPublicAddress, plainAddress } from '../addresses.ts'

const publicOnes = [
  '1.1.1.1',
  '8.8.8.8',
  '93.184.216.34',
  '2606:4700:4700::1111',
  '2a00:1450:4001:81b::200e',
  '::ffff:8.8.8.8',
]

const privateOnes = [
  '0.0.0.0',
  '0.1.2.3',
  '10.0.0.1',
  '10.255.255.255',
  '100.64.0.1',
  '100.100.100.200',
  '100.127.255.255',
  '127.0.0.1',
  '127.255.255.254',
  '168.63.129.16',
  '169.254.169.254',
  '169.254.170.2',
  '172.16.0.1',
  '172.31.255.255',
  '192.0.0.1',
  '192.0.0.192',
  '192.0.2.1',
  '192.88.99.1',
  '192.168.1.1',
  '198.18.0.1',
  '198.19.255.255',
  '198.51.100.7',
  '203.0.113.9',
  '224.0.0.1',
  '239.255.255.250',
  '240.0.0.1',
  '255.255.255.255',
  '::',
  '::1',
  '::127.0.0.1',
  '::8.8.8.8',
  '::ffff:127.0.0.1',
  '::ffff:7f00:1',
  '::ffff:169.254.169.254',
  '::ffff:0:8.8.8.8',
  '0:0:0:0:0:ffff:10.0.0.1',
  '64:ff9b::7f00:1',
  '64:ff9b::8.8.8.8',
  '64:ff9b:1::1',
  '100::1',
  '2001::1',
  '2001:0:53aa:64c::1',
  '2001:2::1',
  '2001:10::1',
  '2001:20::1',
  '2001:db8::1',
  '2002:7f00:1::',
  '2002:a9fe:a9fe::1',
  '3fff::1',
  '5f00::1',
  'fc00::1',
  'fd00:ec2::254',
  'fd12:3456::1',
  'fe80::1',
  'fe80::1%eth0',
  'fec0::1',
  'ff02::1',
  'ff0e::1',
]

describe('isPublicAddress', () => {
  it.each(publicOnes)('lets %s through', (address) => expect(isPublicAddress(address)).toBe(true))
  it.each(privateOnes)('refuses %s', (address) => expect(isPublicAddress(address)).toBe(false))
  it.each(['', 'localhost', '127.1', '0x7f000001', '1.2.3.4.5', '2606:4700:4700::1111%en0', 'example.com'])(
    'takes %j for no address at all',
    (text) => expect(isPublicAddress(text)).toBe(false),
  )

  it('lets nothing through that an independent library calls special', () => {
    const bytes4 = fc.uint8Array({ minLength: 4, maxLength: 4 })
    const bytes6 = fc.uint8Array({ minLength: 16, maxLength: 16 })
    // Half of them in the corners where special blocks lie.
    const corner6 = fc.tuple(fc.constantFrom(0x20, 0x00, 0xfc, 0xfe, 0xff, 0x3f), bytes6).map(([first, rest]) => {
      rest[0] = first
      if (first === 0x20) rest[1] = rest[1]! % 4
      return rest
    })
    fc.assert(
      fc.property(fc.oneof(bytes4, bytes6, corner6), (bytes) => {
        const address = ipaddr.fromByteArray([...bytes])
        const judged =
          address.kind() === 'ipv6' && (address as ipaddr.IPv6).isIPv4MappedAddress()
            ? (address as ipaddr.IPv6).toIPv4Address()
            : address
        if (judged.range() !== 'unicast') expect(isPublicAddress(address.toString())).toBe(false)
      }),
      { numRuns: 20_000 },
    )
  })
})

it('reads every spelling of a mapped address as the IPv4 that it is', () => {
  for (const text of ['::ffff:10.0.0.1', '::FFFF:a00:1', '0:0:0:0:0:ffff:0a00:0001'])
    expect(plainAddress(text)).toBe('10.0.0.1')
  for (const text of ['2606::ffff:a00:1', '::ffff:ffff:808:808', '::ffff:0:8.8.8.8', '0:0:0:ffff:0:0:808:808']) {
    expect(plainAddress(text)).toBe(text)
    expect(isPublicAddress(text)).toBe(text.startsWith('2606'))
  }
})

it('knows the networks that an operator allows, and refuses to read nonsense', () => {
  const allowed = blocks(['10.1.0.0/16', 'fd00::/8', '192.168.0.7'])
  expect(['10.1.2.3', '::ffff:10.1.2.3', 'fd00::1', '192.168.0.7'].map((address) => isIn(allowed, address))).toEqual([
    true,
    true,
    true,
    true,
  ])
  expect(['10.2.0.1', 'fc00::1', '192.168.0.8', 'x'].map((address) => isIn(allowed, address))).toEqual([
    false,
    false,
    false,
    false,
  ])
  for (const text of ['10.0.0.0/33', '10.0.0/8', 'example.com', '::/129', '10.0.0.0/8/8', '', '10.0.0.0/x'])
    expect(() => blocks([text])).toThrow('CIDR')
})

it('lets production allow private networks, and none of the machine itself or of metadata services', () => {
  const load = (networks: string): unknown =>
    loadOptions(
      { egress: egressOptions },
      { env: { FORGE_EGRESS_ALLOWED_NETWORKS: networks }, environment: 'production' },
    )
  for (const fine of ['10.0.0.0/8', '192.168.0.7,fd00:1::/64', '100.64.0.0/10']) expect(() => load(fine)).not.toThrow()
  for (const open of [
    '127.0.0.1/32',
    '127.0.0.2/32',
    '127.8.0.0/16',
    '::1/128',
    '::ffff:127.0.0.1/128',
    '169.254.169.254/32',
    '169.254.170.2/32',
    'fe80::1/128',
    '0.0.0.0/0',
    '::/0',
    '10.0.0.0/8,0.0.0.0/1',
  ])
    expect(() => load(open), open).toThrow('opens')
})
