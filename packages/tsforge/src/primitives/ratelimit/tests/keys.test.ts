import { describe, expect, it } from 'vitest'
import { anonymous } from '../../../kernel/context.ts'
import type { Actor } from '../../../kernel/context.ts'
import { keyOf, networkOf } from '../keys.ts'

describe('the network of an address', () => {
  const same: Record<string, readonly string[]> = {
    '192.0.2.7': [
      '192.0.2.7',
      '::ffff:192.0.2.7',
      '::FFFF:c000:207',
      '0:0:0:0:0:ffff:c000:0207',
      '64:ff9b::192.0.2.7',
      '2002:c000:207::1',
      '2002:c000:207:9::',
    ],
    '2001:db8:0:1::/64': [
      '2001:db8:0:1::',
      '2001:db8:0:1::1',
      '2001:DB8:0:1:ffff:ffff:ffff:ffff',
      '2001:0db8:0000:0001:0:0:0:9',
      '2001:db8::1:0:0:0:5',
      '2001:db8:0:1::192.0.2.7',
      '2001:db8:0:1::1%eth0',
    ],
    '0:0:0:0::/64': ['::1', '::', '0:0:0:0:0:0:0:1'],
    unknown: [
      '',
      '1::2::3',
      ':::',
      'nonsense:',
      '1:2:3',
      '2001:db8::g',
      '1:2:3:4:5:6:7:8:9',
      '::1.2.3',
      '1:2:3:4:5:6:7::8:9',
      '::99999',
    ],
  }
  for (const [network, addresses] of Object.entries(same)) {
    it(`is ${network} for all of its spellings`, () => {
      for (const address of addresses) expect([address, networkOf(address, 64)]).toEqual([address, network])
    })
  }

  it('tells neighbours apart at the prefix, on whatever bit it ends', () => {
    expect(networkOf('2001:db8:0:2::1', 64)).not.toBe(networkOf('2001:db8:0:1::1', 64))
    expect(networkOf('2001:db8:aa:bbcc::1', 56)).toBe('2001:db8:aa:bb00::/56')
    expect(networkOf('2001:db8:aa:bbff::1', 56)).toBe('2001:db8:aa:bb00::/56')
    expect(networkOf('2001:db8:aa:bbcc::1', 48)).toBe('2001:db8:aa::/48')
    expect(networkOf('2001:db8:ffff::', 33)).toBe('2001:db8:8000::/33')
    expect(networkOf('2001:db8::1', 128)).toBe('2001:db8:0:0:0:0:0:1::/128')
    expect(networkOf('10.0.0.1', 64)).not.toBe(networkOf('10.0.0.2', 64))
  })
})

describe('a key', () => {
  const call = (actor: Actor, tenantId: string | null = null) => ({
    ip: '::1',
    actor,
    tenantId,
    header: () => undefined,
  })
  const ada: Actor = { kind: 'user', id: 'a' }
  const robot: Actor = { kind: 'service', id: 'a' }

  it('tells persons from services of the same id, and concerns nobody who is not signed in', () => {
    const user = keyOf('user', 64)
    expect([user(call(ada)), user(call(robot)), user(call(anonymous))]).toEqual(['user:a', 'service:a', undefined])
    const apiKey = keyOf('api_key', 64)
    expect([apiKey(call(ada)), apiKey(call(robot))]).toEqual([undefined, 'service:a'])
  })

  it('is the tenant that was resolved, and none without one', () => {
    const tenant = keyOf('tenant', 64)
    expect([tenant(call(ada, 't')), tenant(call(ada))]).toEqual(['tenant:t', undefined])
  })
})
