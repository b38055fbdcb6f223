import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatBytes, formatDuration, parseBytes, parseDuration } from '../durations.ts'

test.each([
  ['250ms', 250],
  ['15m', 900_000],
  ['1h30m', 5_400_000],
  ['1.5h', 5_400_000],
  ['7d', 604_800_000],
  [' 1W ', 604_800_000],
  ['0', 0],
  ['1.1s', 1100],
])('%s is %d ms', (text, ms) => {
  expect(parseDuration(text)).toBe(ms)
})

test('a number is milliseconds already', () => {
  expect(parseDuration(1500)).toBe(1500)
})

test.each([
  '',
  '30',
  '-5s',
  '5 m',
  '30m1h',
  '1h1h',
  '1e3s',
  '0x10s',
  'soon',
  '1.5ms',
  '.5s',
  '9'.repeat(20) + 'd',
  `${'1h'.repeat(80)}`,
])('%j is refused with a sentence that says what would be right', (text) => {
  expect(() => parseDuration(text)).toThrow(/^must be/)
})

test.each([-1, Number.NaN, Number.POSITIVE_INFINITY])('%d is no number of milliseconds', (value) => {
  expect(() => parseDuration(value)).toThrow(/zero or more/)
})

test('what is formatted is read back as the same number', () => {
  fc.assert(fc.property(fc.maxSafeNat(), (ms) => parseDuration(formatDuration(ms)) === ms))
  fc.assert(fc.property(fc.maxSafeNat(), (bytes) => parseBytes(formatBytes(bytes)) === bytes))
})

test('any text is a whole number or an error, never NaN', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      try {
        return Number.isSafeInteger(parseDuration(text)) && parseDuration(text) >= 0
      } catch (error) {
        return (error as Error).message.startsWith('must be')
      }
    }),
  )
})

test.each([
  ['1mb', 1_048_576],
  ['1.5 KB', 1536],
  ['2GiB', 2_147_483_648],
  ['512', 512],
  ['0', 0],
])('%s is %d bytes', (text, bytes) => {
  expect(parseBytes(text)).toBe(bytes)
})

test.each(['', '1.1b', '-1kb', '1e3', '0x10', '5 parsecs'])('%j is no size', (text) => {
  expect(() => parseBytes(text)).toThrow(/^must be/)
})

test('sizes and durations are formatted in the largest unit that fits', () => {
  expect(formatDuration(5_400_000)).toBe('1h30m')
  expect(formatBytes(1_048_576)).toBe('1mb')
  expect(formatBytes(1000)).toBe('1000b')
})
