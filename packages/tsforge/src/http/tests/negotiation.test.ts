import { afterEach, describe, expect, it } from 'vitest'
import { defineErrors } from '../../kernel/errors.ts'
import { route } from '../index.ts'
import { Type } from '../schema.ts'
import { closeLabs, lab } from './fixture.ts'

afterEach(closeLabs)

const labErrors = defineErrors({
  'lab.taken': {
    status: 409,
    message: { en: 'The name {name} is taken.', id: 'Nama {name} sudah dipakai.' },
    fix: 'Choose another name.',
  },
  'lab.store': { status: 500, message: 'The store at db.internal broke.' },
  'lab.later': { status: 429, message: 'Slow down.' },
})
const errors = Object.keys(labErrors.specs)
const fail = (id: string, thrown: () => unknown) =>
  route({
    method: 'GET',
    url: `/${id}`,
    id,
    summary: id,
    access: 'public',
    data: null,
    errors,
    handler: () => {
      throw thrown()
    },
  })
const routes = [
  fail('taken', () => labErrors.error('lab.taken', { meta: { name: 'x"y' } })),
  fail('store', () =>
    labErrors.error('lab.store', { meta: { dsn: 'postgres://' }, cause: new Error('password=hunter2') }),
  ),
  fail('later', () => labErrors.error('lab.later', { retryAfterMs: 1200, headers: { 'RateLimit-Limit': '5' } })),
  fail('unknown', () => new Error('select * from secrets')),
  fail('nothing', () => undefined),
  route({
    method: 'POST',
    url: '/items/:id',
    id: 'addItem',
    summary: 'Add',
    access: 'public',
    body: Type.Object({ a: Type.Integer() }),
    data: Type.Object({}),
    handler: () => ({}),
  }),
  route({
    method: 'GET',
    url: '/items/:id',
    id: 'getItem',
    summary: 'Get',
    access: 'public',
    data: Type.Object({}),
    handler: () => ({}),
  }),
  route({
    method: 'GET',
    url: '/text',
    id: 'text',
    summary: 'Text',
    access: 'public',
    plain: { contentType: 'text/plain; charset=utf-8' },
    data: Type.String(),
    handler: () => 'plain',
  }),
]
const settings = { catalogues: [labErrors] }

describe('errors', () => {
  it("speak the caller's language and say which one it is", async () => {
    const { http } = await lab(routes, settings)
    const indonesian = await http.inject({ url: '/taken', headers: { 'accept-language': 'fr, id;q=0.9, en;q=0.5' } })
    expect(indonesian.json().error).toEqual({
      code: 'lab.taken',
      message: 'Nama x"y sudah dipakai.',
      meta: { name: 'x"y' },
    })
    expect([indonesian.headers['content-language'], indonesian.headers.vary]).toEqual(['id', 'accept, accept-language'])
    const english = await http.inject({ url: '/taken', headers: { 'accept-language': `${'x'.repeat(50_000)}` } })
    expect([english.json().error.message, english.headers['content-language']]).toEqual([
      'The name x"y is taken.',
      'en',
    ])
    const fields = await http.inject({
      method: 'POST',
      url: '/items/1',
      payload: {},
      headers: { 'accept-language': 'id-ID' },
    })
    expect(fields.json().error.meta.fields).toEqual([
      { in: 'body', path: '/a', code: 'required', message: 'wajib diisi' },
    ])
  })

  it('show nothing of the inside: 500s are "internal" and a request id, logged once with their cause', async () => {
    const { http, logged } = await lab(routes, settings)
    for (const url of ['/store', '/unknown', '/nothing']) {
      const answer = await http.inject(url)
      expect(answer.statusCode).toBe(500)
      expect(Object.keys(answer.json())).toEqual(['success', 'error', 'request_id'])
      expect(answer.json().error).toEqual({ code: 'internal', message: 'Something went wrong on our side.' })
      expect(JSON.stringify(answer.headers) + answer.body).not.toMatch(/select|hunter2|db\.internal|postgres|at /)
    }
    expect(logged.map(({ level, fields }) => [level, fields['code']])).toEqual([
      ['error', 'lab.store'],
      ['error', undefined],
      ['error', undefined],
    ])
    expect((logged[1]!.fields['err'] as Error).stack).toContain('select * from secrets')
  })

  it('are answered even when their own meta or headers cannot be written', async () => {
    const cycle: Record<string, unknown> = {}
    cycle['self'] = cycle
    const { http } = await lab(
      [
        fail('cycle', () => labErrors.error('lab.taken', { meta: cycle })),
        fail('big', () => labErrors.error('lab.taken', { meta: { count: 1n } })),
        fail('header', () => labErrors.error('lab.taken', { headers: { 'x-a': 'b\r\nc: d' } })),
      ],
      settings,
    )
    for (const url of ['/cycle', '/big', '/header']) {
      const answer = await http.inject(url)
      expect([url, answer.statusCode, answer.json().error.code, answer.headers['c']]).toEqual([
        url,
        500,
        'internal',
        undefined,
      ])
    }
  })

  it('carry Retry-After in whole seconds and headers of their own', async () => {
    const { http, logged } = await lab(routes, settings)
    const answer = await http.inject('/later')
    expect([answer.statusCode, answer.headers['retry-after'], answer.headers['ratelimit-limit']]).toEqual([
      429,
      '2',
      '5',
    ])
    expect(logged).toEqual([])
  })

  it('are problem details when Accept asks for them', async () => {
    const { http } = await lab(routes, settings)
    const answer = await http.inject({
      url: '/taken',
      headers: { accept: 'application/problem+json', 'x-request-id': 'r1' },
    })
    expect(answer.headers['content-type']).toBe('application/problem+json')
    expect(answer.json()).toEqual({
      type: 'urn:tsforge:error:lab.taken',
      title: 'Conflict',
      status: 409,
      detail: 'The name x"y is taken.',
      instance: '/taken',
      code: 'lab.taken',
      meta: { name: 'x"y' },
      request_id: 'r1',
      fix: 'Choose another name.',
    })
    const invalid = await http.inject({
      method: 'POST',
      url: '/items/1',
      payload: { a: 1, b: 2 },
      headers: { accept: 'application/json;q=0.5, application/problem+json' },
    })
    expect(invalid.json().errors).toEqual([{ in: 'body', path: '/b', code: 'unknown', message: 'is not known here' }])
    const plain = await http.inject({
      url: '/taken',
      headers: { accept: 'application/json, application/problem+json;q=0.2' },
    })
    expect(plain.headers['content-type']).toBe('application/json; charset=utf-8')
  })
})

describe('Accept', () => {
  const cases: [string, string, number][] = [
    ['/items/1', '*/*', 200],
    ['/items/1', 'application/*', 200],
    ['/items/1', 'text/html, */*;q=0.1', 200],
    ['/items/1', 'APPLICATION/JSON', 200],
    ['/items/1', 'application/problem+json', 200],
    ['/items/1', 'text/html', 406],
    ['/items/1', 'application/json;q=0', 406],
    ['/items/1', '*/*, application/json;q=0', 406],
    ['/text', 'text/plain', 200],
    ['/text', 'text/*', 200],
    ['/text', 'application/json', 406],
    ['/items/1', `${'a/b,'.repeat(20_000)}`, 406],
  ]
  for (const [url, accept, status] of cases) {
    it(`${accept.slice(0, 40)} on ${url} is ${status}`, async () => {
      const { http } = await lab(routes, settings)
      const answer = await http.inject({ url, headers: { accept } })
      expect(answer.statusCode).toBe(status)
      if (status === 406) expect(answer.json().error.code).toBe('http.not_acceptable')
    })
  }
})

describe('addresses', () => {
  it('are 404 in any other spelling', async () => {
    const { http, lines } = await lab(routes, settings)
    for (const url of [
      '/',
      '/taken/',
      '/TAKEN',
      '//taken',
      '/taken;a=b',
      '/items',
      '/items/',
      '/%74aken%2f',
      '/.',
      '/taken/..',
    ]) {
      const answer = await http.inject(url)
      expect([url, answer.statusCode, answer.json().error?.code]).toEqual([url, 404, 'http.not_found'])
    }
    expect(lines).toHaveLength(10)
    expect(lines[0]).toMatchObject({ status: 404, route: '' })
  })

  it('are 400 when they cannot be decoded, 414 when a part is too long', async () => {
    const { http } = await lab(routes, settings)
    for (const url of [
      '/items/%zz',
      '/items/%ff',
      '/items/1?a=%zz',
      '/items/1?a=%00',
      `/items/1?${'a=1&'.repeat(300)}`,
    ]) {
      expect([url.slice(0, 20), (await http.inject(url)).json().error?.code]).toEqual([
        url.slice(0, 20),
        'http.target_malformed',
      ])
    }
    expect((await http.inject(`/items/${'a'.repeat(600)}`)).statusCode).toBe(414)
  })

  it('answer 405 with Allow to other methods, whatever a header says about the method', async () => {
    const { http, lines } = await lab(routes, settings)
    for (const method of ['PUT', 'DELETE', 'PATCH', 'TRACE'] as const) {
      const answer = await http.inject({
        method: method as 'PUT',
        url: '/items/1',
        headers: { 'x-http-method-override': 'GET' },
      })
      expect([answer.statusCode, answer.headers.allow, answer.json().error.code]).toEqual([
        405,
        'POST, OPTIONS, GET, HEAD',
        'http.method_not_allowed',
      ])
    }
    expect(lines[0]).toMatchObject({ status: 405, route: '/items/:id' })
    const options = await http.inject({ method: 'OPTIONS', url: '/items/1' })
    expect([options.statusCode, options.headers.allow, options.body]).toEqual([204, 'POST, OPTIONS, GET, HEAD', ''])
    expect((await http.inject({ method: 'OPTIONS', url: '/nowhere' })).statusCode).toBe(404)
  })

  it('report unknown and ill-typed query parameters, and take what the schema declares', async () => {
    const search = route({
      method: 'GET',
      url: '/search',
      id: 'search',
      summary: 'Search',
      access: 'public',
      query: Type.Object({
        limit: Type.Integer({ default: 20, maximum: 100 }),
        deep: Type.Optional(Type.Boolean()),
        tag: Type.Optional(Type.Array(Type.String(), { maxItems: 5 })),
        q: Type.Optional(Type.String()),
      }),
      data: Type.Unknown(),
      handler: ({ query }) => query,
    })
    const { http } = await lab([search])
    expect((await http.inject('/search?tag=a&deep=true&q=41')).json().data).toEqual({
      limit: 20,
      tag: ['a'],
      deep: true,
      q: '41',
    })
    expect((await http.inject('/search?limit=5&tag=a&tag=b+c')).json().data).toEqual({ limit: 5, tag: ['a', 'b c'] })
    for (const bad of [
      'limit=',
      'limit=0x10',
      'limit=1e3x',
      'limit=101',
      'limit=9007199254740993',
      'limit=1&limit=2',
      'deep=1',
      'q=a&q=b',
      '__proto__=1',
      'unknown=1',
      'limit=%20',
    ]) {
      const answer = await http.inject(`/search?${bad}`)
      expect([bad, answer.statusCode]).toEqual([bad, 422])
    }
  })
})

describe('the access line', () => {
  it('is one line of plain ASCII, whatever the path holds', async () => {
    const { http, rawLines } = await lab(routes, settings)
    await http.inject({ url: '/\u001b[31m"\\"evil\u2028\u009b${jndi:ldap}' })
    await http.inject({
      url: '/taken?password=hunter2',
      headers: { 'user-agent': 'x'.repeat(100_000), 'x-request-id': 'a\tb' },
    })
    for (const line of rawLines) {
      expect(line).toMatch(/^\{[\x20-\x7e]*\}\n$/)
      expect(line.length).toBeLessThan(4000)
      expect(line).not.toContain('hunter2')
    }
    expect(JSON.parse(rawLines[1]!).request_id).toMatch(/^[0-9a-f]{32}$/)
  })
})
