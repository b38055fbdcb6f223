import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatDotenvValue, parseDotenv } from '../dotenv.ts'

test.each([
  ['A=1', '1'],
  ['\uFEFFA = 1 ', '1'],
  ['export A=1\r\n', '1'],
  ['A=', ''],
  ['A=one two # comment', 'one two'],
  ['A=one#two', 'one#two'],
  ['A=# comment', ''],
  ["A='$HOME \\n # x'", '$HOME \\n # x'],
  ['A="a\\nb\\t\\"c\\" \\\\ \\$"', 'a\nb\t"c" \\ $'],
  ['A="C:\\dir"', 'C:\\dir'],
  ['A="$HOME ${B} `ls`"', '$HOME ${B} `ls`'],
  ['A="one\n  two\n" # comment', 'one\n  two\n'],
  ['# A=2\n\nA=1', '1'],
  ['A="a=b"', 'a=b'],
])('%j says %j', (text, value) => {
  expect(parseDotenv(text)).toEqual({ values: { A: value }, faults: [] })
})

test('doubtful lines are faults with their number, and the other lines count', () => {
  const { values, faults } = parseDotenv("one\nA=1\n2B=x\nC=\"open\nD=4\nA=5\nE='x' y")
  expect(faults).toEqual([
    { line: 1, problem: 'is not KEY=value' },
    { line: 3, problem: 'is not KEY=value' },
    { line: 4, problem: 'opens a " for C that is never closed' },
    { line: 6, problem: 'sets A a second time' },
    { line: 7, problem: "has text behind the closing ' of E" },
  ])
  expect(values).toMatchObject({ A: '5', D: '4' })
})

test('a key such as __proto__ is a key like any other', () => {
  expect(Object.keys(parseDotenv('__proto__=x').values)).toEqual(['__proto__'])
  expect(({} as Record<string, unknown>)['x']).toBeUndefined()
})

test('what is written is read back as the same value', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary' }),
      (value) => parseDotenv(`A=${formatDotenvValue(value)}`).values['A'] === value,
    ),
  )
})

test('any text is read without throwing', () => {
  const piece = fc.constantFrom('A', '=', '"', "'", '\n', '\r', '\\', '#', ' ', 'export ', '$')
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => typeof parseDotenv(pieces.join('')) === 'object'),
  )
})
