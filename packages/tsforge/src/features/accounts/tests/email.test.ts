import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isEmail, normalizeEmail } from '../email.ts'
import { cleanIp, cleanUserAgent, networkOf } from '../person.ts'

test('normalizing twice changes nothing', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const once = normalizeEmail(text)
      return normalizeEmail(once) === once
    }),
    {
      numRuns: 2_000,
      examples: [
        ['İ@x.org'],
        ['ΑΣ@x.org'],
        ['\u212a@x.org'],
        ['ẞ@x.org'],
        ['T\u0308@x.org'],
        ['\u0130\u0327@x.org'],
        ['A\u0345\u0301@x.org'],
      ],
    },
  )
})

test('letters that differ in case or composition alone are one address', () => {
  for (const [a, b] of [
    ['ZOË@X.ORG', 'zoe\u0308@x.org'],
    ['\u212a@x.org', 'k@x.org'],
    ['Å@x.org', '\u212b@x.org'],
  ] as const) {
    expect(normalizeEmail(a)).toBe(normalizeEmail(b))
  }
})

test.each([
  'ada@example.org',
  'a.b+c@x-y.example',
  "o'neil@example.org",
  'zoë@exämple.org',
  '用户@例子.中国',
  `${'a'.repeat(64)}@example.org`,
])('takes %s', (address) => expect(isEmail(normalizeEmail(address))).toBe(true))

test.each([
  '',
  '@',
  'a@',
  '@b.c',
  'a@b',
  'a@@b.c',
  'a@b@c.d',
  '.a@b.c',
  'a.@b.c',
  'a..b@c.d',
  'a@-b.c',
  'a@b-.c',
  'a@b..c',
  'a@b.c.',
  'a b@c.d',
  '"a"@b.c',
  'a@b_c.d',
  'a@[1.2.3.4]',
  'a,b@c.d',
  'a\r\nBcc:x@c.d',
  'a\u0000@c.d',
  'a\u202e@c.d',
  '\ud800@c.d',
  `${'a'.repeat(65)}@c.d`,
  `a@${'b'.repeat(64)}.c`,
  `a@${'b.'.repeat(130)}c`,
])('refuses %j', (address) => expect(isEmail(normalizeEmail(address))).toBe(false))

test('an IPv6 network is its first 64 bits, however it is written', () => {
  const networks = [
    '2001:db8:0:1::1',
    '2001:0db8:0:1:ffff::',
    '2001:DB8::1:0:0:0:2',
    '2001:db8:0:1:0:0:192.0.2.1%eth0',
  ].map((ip) => networkOf(cleanIp(ip)))
  expect(new Set(networks)).toEqual(new Set(['2001:db8:0:1::/64']))
  expect(networkOf(cleanIp('::1'))).toBe('0:0:0:0::/64')
  expect(networkOf(cleanIp('192.0.2.1'))).toBe('192.0.2.1')
  for (const odd of [undefined, '', 'unknown', '1.2.3', '1.2.3.4, 5.6.7.8', ':::'])
    expect(networkOf(cleanIp(odd))).toBe('unknown')
})

test('a cleaned user agent can always be stored', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 2_000 }), (text) => {
      const clean = cleanUserAgent(text)
      expect(clean === null || (clean.isWellFormed() && !clean.includes('\u0000') && [...clean].length <= 512)).toBe(
        true,
      )
    }),
  )
})
