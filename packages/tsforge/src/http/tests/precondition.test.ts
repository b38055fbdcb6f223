import { describe, expect, it } from 'vitest'
import {
  checkMatch,
  checkNoneMatch,
  optionalMatch,
  parseEntityTags,
  requireMatch,
  versionTag,
} from '../precondition.ts'

describe('entity tags', () => {
  it.each([
    ['*', '*'],
    [' * ', '*'],
    ['"v3"', [{ weak: false, value: 'v3' }]],
    ['W/"v3"', [{ weak: true, value: 'v3' }]],
    [
      ' ,"a" ,\t, W/"b,c"  ,""',
      [
        { weak: false, value: 'a' },
        { weak: true, value: 'b,c' },
        { weak: false, value: '' },
      ],
    ],
    ['"\xe9"', [{ weak: false, value: '\xe9' }]],
  ])('are read from %j', (header, tags) => {
    expect(parseEntityTags(header, 'If-Match')).toEqual(tags)
  })

  it.each([
    '',
    ',',
    'v3',
    '"v3',
    'v3"',
    '"a" "b"',
    'w/"a"',
    'W/ "a"',
    '"a b"',
    '"a", *',
    '**',
    '"a\n"',
    '"a\0"',
    `"${'x'.repeat(9000)}"`,
  ])('are refused in %j', (header) => {
    expect(() => parseEntityTags(header, 'If-Match')).toThrow(
      expect.objectContaining({ code: 'precondition.malformed', status: 400 }),
    )
  })

  it('are read in time that grows with the header alone', () => {
    for (const hostile of [
      ' '.repeat(8000),
      ','.repeat(8000),
      '"'.repeat(8000),
      'W/'.repeat(4000),
      ' ,'.repeat(4000),
      `${' \t'.repeat(4000)}x`,
    ]) {
      expect(() => parseEntityTags(hostile, 'If-Match')).toThrow()
    }
  })
})

describe('If-Match', () => {
  it('names the versions that a write expects', () => {
    expect(requireMatch(versionTag(3))).toEqual({ precondition: true, version: [3] })
    expect(requireMatch('"v3", "v12"')).toEqual({ precondition: true, version: [3, 12] })
    expect(requireMatch('*')).toEqual({ precondition: true })
    expect(optionalMatch(undefined)).toEqual({ precondition: true })
  })

  it('is 428 when it is needed and absent', () => {
    expect(() => requireMatch(undefined)).toThrow(
      expect.objectContaining({ code: 'precondition.required', status: 428 }),
    )
  })

  it('matches nothing by weak or foreign tags', () => {
    expect(requireMatch('W/"v3", "abc", "v0", "v03", "v99999999999", "3", ""')).toEqual({
      precondition: true,
      version: [],
    })
  })

  it('is checked against a row at hand', () => {
    const failed = expect.objectContaining({ status: 412 })
    for (const header of [undefined, '"v3"', '*', '"x", "v3"']) expect(() => checkMatch(header, 3)).not.toThrow()
    for (const header of ['"v2"', 'W/"v3"']) expect(() => checkMatch(header, 3)).toThrow(failed)
    expect(() => checkMatch('*', undefined)).toThrow(failed)
  })
})

describe('If-None-Match on writes', () => {
  it('refuses to replace what is there', () => {
    const failed = expect.objectContaining({ status: 412 })
    for (const header of ['*', '"v3"', 'W/"v3"']) expect(() => checkNoneMatch(header, 3)).toThrow(failed)
    for (const header of [undefined, '"v2"']) expect(() => checkNoneMatch(header, 3)).not.toThrow()
    expect(() => checkNoneMatch('*', undefined)).not.toThrow()
  })
})
