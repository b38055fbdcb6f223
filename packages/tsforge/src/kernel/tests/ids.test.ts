import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createUuidv7, isUuid, randomToken, uuidv7 } from '../ids.ts'

test('an id is a UUID of version 7 and variant 10 that carries the time of the clock', () => {
  const id = createUuidv7({ now: () => 0x0123_4567_89ab })()
  expect(id).toMatch(/^01234567-89ab-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
})

test('each id is greater than the one before, whatever the clock does', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 2 ** 41 }), { minLength: 2, maxLength: 50 }), (times) => {
      let at = 0
      const next = createUuidv7({ now: () => times[at++ % times.length]! })
      let last = ''
      return Array.from({ length: times.length * 3 }, next).every((id) => {
        const grows = id > last && isUuid(id)
        last = id
        return grows
      })
    }),
  )
})

test('a counter that has run out borrows the next millisecond', () => {
  const next = createUuidv7({ now: () => 1000 }, (bytes) => bytes.fill(0xff))
  const first = next()
  expect(first.slice(0, 23)).toBe('00000000-03e8-77ff-bfff')
  // 2^31 - 1 is the highest start; the top bit leaves room for as many again.
  expect(next() > first).toBe(true)
})

test('the 32 bits behind the time count upwards', () => {
  const next = createUuidv7({ now: () => 1 }, (bytes) => bytes.fill(0))
  expect([next(), next(), next()]).toEqual([
    '00000000-0001-7000-8000-000000000000',
    '00000000-0001-7000-8000-040000000000',
    '00000000-0001-7000-8000-080000000000',
  ])
})

test('a hundred thousand ids in one go are all different', () => {
  expect(new Set(Array.from({ length: 100_000 }, uuidv7)).size).toBe(100_000)
})

test.each([
  ['00000000-0000-0000-0000-000000000000', true],
  ['F47AC10B-58CC-4372-A567-0E02B2C3D479', true],
  ['f47ac10b58cc4372a5670e02b2c3d479', false],
  ['{f47ac10b-58cc-4372-a567-0e02b2c3d479}', false],
  ['f47ac10b-58cc-4372-a567-0e02b2c3d479\n', false],
  ['g47ac10b-58cc-4372-a567-0e02b2c3d479', false],
  [undefined, false],
  [42, false],
])('isUuid(%j) is %s', (value, expected) => {
  expect(isUuid(value)).toBe(expected)
})

test('a token is base64url of as many random bytes as asked for', () => {
  expect(randomToken()).toMatch(/^[\w-]{43}$/)
  expect(randomToken(16)).toHaveLength(22)
  expect(randomToken()).not.toBe(randomToken())
  expect(() => randomToken(8)).toThrow(RangeError)
})
