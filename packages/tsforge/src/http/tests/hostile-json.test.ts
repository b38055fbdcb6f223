import { afterEach, describe, expect, it } from 'vitest'
import { ForgeError } from '../../kernel/errors.ts'
import { route } from '../index.ts'
import { parseJson } from '../json.ts'
import { Type } from '../schema.ts'
import { closeLabs, lab } from './fixture.ts'

afterEach(closeLabs)

const limits = { jsonDepth: 64, jsonKeys: 10_000 }
const reason = (bytes: Buffer | string): unknown => {
  try {
    parseJson(Buffer.from(bytes as string), limits)
    return 'accepted'
  } catch (error) {
    return error instanceof ForgeError ? error.meta?.['reason'] : error
  }
}

describe('parseJson', () => {
  const refused: [string, Buffer | string, string][] = [
    ['depth of 10^5', '['.repeat(100_000) + ']'.repeat(100_000), 'nested too deeply'],
    ['depth of 10^5 in objects', '{"a":'.repeat(100_000) + '1' + '}'.repeat(100_000), 'nested too deeply'],
    ['10^6 names', `{${Array.from({ length: 1_000_000 }, (_, at) => `"k${at}":1`).join(',')}}`, 'too many names'],
    ['duplicate names', '{"role":"user","role":"admin"}', 'duplicate name'],
    ['duplicate names, one escaped', '{"role":"user","r\\u006fle":"admin"}', 'duplicate name'],
    ['duplicate names deep inside', '{"a":[{"b":{"c":1,"c":2}}]}', 'duplicate name'],
    ['__proto__', '{"__proto__":{"admin":true}}', 'forbidden name'],
    ['__proto__, escaped', '{"__pr\\u006fto__":{"admin":true}}', 'forbidden name'],
    ['constructor.prototype', '{"constructor":{"prototype":{"admin":true}}}', 'forbidden name'],
    ['numbers beyond a double', '{"n":1e400}', 'number out of range'],
    ['NUL in text', '{"a":"x\\u0000"}', 'text with NUL or a lone surrogate'],
    ['lone surrogates', '{"a":"\\ud800"}', 'text with NUL or a lone surrogate'],
    ['a byte order mark', '\ufeff{"a":1}', 'syntax'],
    ['UTF-16', Buffer.from('{"a":1}', 'utf16le'), 'syntax'],
    ['bad UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), 'not UTF-8'],
    ['overlong UTF-8', Buffer.from([0x22, 0xc0, 0xaf, 0x22]), 'not UTF-8'],
    ['two documents', '{} {}', 'syntax'],
    ['comments', '{"a":1/*x*/}', 'syntax'],
    ['NaN', '{"a":NaN}', 'syntax'],
    ['an unended string', '{"a":"x', 'syntax'],
  ]
  for (const [name, bytes, expected] of refused) it(`refuses ${name}`, () => expect(reason(bytes)).toBe(expected))

  it('leaves Object.prototype as it was', () => {
    reason('{"__proto__":{"polluted":1}}')
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
  })

  it('accepts colons, brackets, quotes and escapes inside of text, and harmless names', () => {
    for (const value of [
      { 'a:b': 'c:d [{"' },
      { a: '\\', b: '\\"', c: '\\\\":' },
      { constructor: 'Acme Ltd' },
      { constructor: null, prototype: 1 },
      '\u{1f600}',
      [],
      0,
      null,
      { '': '' },
      { a: '\u2028' },
    ]) {
      expect(parseJson(Buffer.from(JSON.stringify(value)), limits).value).toEqual(value)
    }
    expect(parseJson(Buffer.from('{"a":"\\ud83d\\ude00"}'), limits).value).toEqual({ a: '\u{1f600}' })
  })
})

describe('bodies', () => {
  const take = route({
    method: 'POST',
    url: '/take',
    id: 'take',
    summary: 'Take',
    access: 'public',
    body: Type.Object({ a: Type.Optional(Type.Array(Type.Integer(), { maxItems: 200_000 })) }),
    data: null,
    handler: () => undefined as never,
  })
  const none = route({
    method: 'POST',
    url: '/none',
    id: 'none',
    summary: 'None',
    access: 'public',
    data: null,
    handler: () => undefined as never,
  })
  const post = async (
    url: string,
    payload: string | Buffer,
    headers: Record<string, string>,
  ): Promise<[number, string | undefined]> => {
    const { http } = await lab([take, none])
    const answer = await http.inject({ method: 'POST', url, payload, headers })
    return [answer.statusCode, answer.statusCode === 204 ? undefined : (answer.json().error.code as string)]
  }

  it('must be uncompressed JSON in UTF-8', async () => {
    for (const type of [
      'application/json',
      'Application/JSON; charset=UTF-8',
      'application/json;charset="utf-8"',
      'application/merge-patch+json',
    ]) {
      expect([type, ...(await post('/take', '{}', { 'content-type': type }))]).toEqual([type, 204, undefined])
    }
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
      'application/json; charset=utf-16',
      'application/xml',
      'json',
      'application/jsonx',
      '',
    ]) {
      expect([type, ...(await post('/take', '{}', { 'content-type': type }))]).toEqual([
        type,
        415,
        'http.media_type_unsupported',
      ])
    }
    for (const encoding of ['gzip', 'br', 'deflate', 'gzip, identity']) {
      expect(await post('/take', '{}', { 'content-type': 'application/json', 'content-encoding': encoding })).toEqual([
        415,
        'http.encoding_unsupported',
      ])
    }
  })

  it('must be there where one is declared, and hold nothing where none is', async () => {
    const json = { 'content-type': 'application/json' }
    expect(await post('/take', '', {})).toEqual([400, 'http.body_malformed'])
    expect(await post('/none', '', {})).toEqual([204, undefined])
    expect(await post('/none', '{}', json)).toEqual([204, undefined])
    expect(await post('/none', '{"is_admin":true}', json)).toEqual([422, 'http.validation_failed'])
  })

  it('list at most 50 faults, and one fault of a huge input', async () => {
    const { http } = await lab([take])
    const faults = async (count: number): Promise<number> => {
      const answer = await http.inject({
        method: 'POST',
        url: '/take',
        payload: { a: Array.from({ length: count }, () => 'x') },
      })
      return (answer.json().error.meta.fields as unknown[]).length
    }
    expect([await faults(3), await faults(500), await faults(100_000)]).toEqual([3, 50, 1])
  })
})
