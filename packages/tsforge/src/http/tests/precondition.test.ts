import { afterEach, describe, expect, it } from 'vitest'
import { route } from '../index.ts'
import { checkMatch, checkNoneMatch, expectedVersion, parseEntityTags, versionTag } from '../precondition.ts'
import { Type } from '../schema.ts'
import { closeLabs, lab } from './fixture.ts'

afterEach(closeLabs)

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
    expect(expectedVersion('required', versionTag(3))).toEqual({ precondition: true, version: [3] })
    expect(expectedVersion('required', '"v3", "v12"')).toEqual({ precondition: true, version: [3, 12] })
    expect(expectedVersion('required', '*')).toEqual({ precondition: true })
    expect(expectedVersion('optional', undefined)).toEqual({ precondition: true })
  })

  it('is 428 when it is needed and absent', () => {
    expect(() => expectedVersion('required', undefined)).toThrow(
      expect.objectContaining({ code: 'precondition.required', status: 428 }),
    )
  })

  it('matches nothing by weak or foreign tags', () => {
    expect(expectedVersion('required', 'W/"v3", "abc", "v0", "v03", "v99999999999", "3", ""')).toEqual({
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

describe('a route of a versioned row', () => {
  const Row = Type.Object({ version: Type.Integer() })
  const row = { version: 3, title: 'not declared' }
  const serve = async () => {
    const seen: unknown[] = []
    const base = { url: '/row', summary: 'Row', access: 'public', data: Row, etag: 'version' } as const
    const { http } = await lab([
      route({ ...base, method: 'GET', id: 'read', handler: () => row }),
      route({
        ...base,
        method: 'PUT',
        id: 'replace',
        precondition: 'required',
        handler: ({ expected }) => {
          seen.push(expected)
          return row
        },
      }),
      route({
        ...base,
        method: 'PATCH',
        id: 'change',
        precondition: 'optional',
        handler: ({ expected }) => {
          seen.push(expected)
          return row
        },
      }),
      route({ ...base, method: 'POST', id: 'write', status: 201, handler: () => row }),
    ])
    return { http, seen }
  }

  it('has the version as its ETag, which If-None-Match and If-Match then name', async () => {
    const { http, seen } = await serve()
    const read = await http.inject({ url: '/row' })
    expect([read.headers.etag, read.json().data]).toEqual(['"v3"', { version: 3 }])
    expect((await http.inject({ method: 'POST', url: '/row' })).headers.etag).toBe('"v3"')
    const again = await http.inject({ url: '/row', headers: { 'if-none-match': '"v3"' } })
    expect([again.statusCode, again.body]).toEqual([304, ''])
    const write = await http.inject({ method: 'PUT', url: '/row', headers: { 'if-match': read.headers.etag } })
    expect([write.statusCode, write.headers.etag]).toEqual([200, '"v3"'])
    expect(seen).toEqual([{ precondition: true, version: [3] }])
  })

  it('never answers a write with 304', async () => {
    const { http } = await serve()
    const headers = { 'if-none-match': '"v3"' }
    expect((await http.inject({ method: 'PATCH', url: '/row', headers })).statusCode).toBe(200)
  })

  it('is refused before its handler runs when If-Match is missing or malformed', async () => {
    const { http, seen } = await serve()
    const ask = async (method: 'PUT' | 'PATCH', headers: Record<string, string>) => {
      const answer = await http.inject({ method, url: '/row', headers })
      return [answer.statusCode, answer.json().error?.code]
    }
    expect(await ask('PUT', {})).toEqual([428, 'precondition.required'])
    expect(await ask('PUT', { 'if-match': 'v3' })).toEqual([400, 'precondition.malformed'])
    expect(await ask('PATCH', { 'if-match': 'v3' })).toEqual([400, 'precondition.malformed'])
    expect(seen).toEqual([])
    expect(await ask('PATCH', {})).toEqual([200, undefined])
    expect(seen).toEqual([{ precondition: true }])
  })
})
