import { afterEach, describe, expect, it } from 'vitest'
import { formats } from '../formats.ts'
import { route } from '../index.ts'
import type { AnySchema, Route, StandardJsonSchema } from '../index.ts'
import { nullable, Timestamp, Type, Uuid } from '../schema.ts'
import { closeLabs, lab } from './fixture.ts'

afterEach(closeLabs)

interface Sign {
  readonly name: string
  readonly at: Date
}

/** What a schema library with transforms and refinements gives us, by hand. */
const standard = (later: boolean): StandardJsonSchema<{ name: string; at: string }, Sign> => {
  const validate = (value: unknown): unknown => {
    const { name, at } = value as { name: string; at: string }
    return name === 'admin'
      ? { issues: [{ message: 'this name is reserved', path: ['name'] }] }
      : { value: { name: name.trim(), at: new Date(at) } }
  }
  return {
    '~standard': {
      version: 1,
      vendor: 'lab',
      validate: later ? async (value) => validate(value) : validate,
      jsonSchema: {
        input: () => ({
          $schema: 'x',
          type: 'object',
          properties: { name: { type: 'string' }, at: { type: 'string', format: 'date-time' } },
          required: ['name', 'at'],
        }),
        output: () => ({
          type: 'object',
          properties: { name: { type: 'string' }, at: { type: 'string', format: 'date-time' } },
          required: ['name', 'at'],
        }),
      },
    },
  }
}
const post = (body: AnySchema, data: AnySchema = Type.Unknown()): Route =>
  route({
    method: 'POST',
    url: '/x',
    id: 'x',
    summary: 'X',
    access: 'public',
    body,
    data,
    handler: ({ body: value }) => value,
  }) as Route

for (const later of [false, true]) {
  describe(`a Standard Schema that validates ${later ? 'later' : 'at once'}`, () => {
    it('checks the shape by its JSON Schema, then refines and transforms by itself', async () => {
      const schema = standard(later)
      let seen: unknown
      const { http } = await lab([
        route({
          method: 'POST',
          url: '/x',
          id: 'x',
          summary: 'X',
          access: 'public',
          body: schema,
          data: schema,
          handler: ({ body }) => (seen = body) as never,
        }) as Route,
      ])
      const send = async (payload: object): Promise<[number, unknown]> => {
        const answer = await http.inject({ method: 'POST', url: '/x', payload })
        return [answer.statusCode, answer.json().data ?? answer.json().error.meta.fields]
      }
      expect(await send({ name: ' ada ', at: '2026-01-01T00:00:00Z' })).toEqual([
        200,
        { name: 'ada', at: '2026-01-01T00:00:00.000Z' },
      ])
      expect((seen as Sign).at).toBeInstanceOf(Date)
      expect(await send({ name: 'admin', at: '2026-01-01T00:00:00Z' })).toEqual([
        422,
        [{ in: 'body', path: '/name', code: 'invalid', message: 'this name is reserved' }],
      ])
      expect(await send({ name: 'ada', at: '2026-01-01T00:00:00Z', role: 'x' })).toEqual([
        422,
        [{ in: 'body', path: '/role', code: 'unknown', message: 'is not known here' }],
      ])
    })
  })
}

it('refuses a Standard Schema without JSON Schema at boot', async () => {
  await expect(
    lab([post({ '~standard': { version: 1, vendor: 'bare', validate: (value) => ({ value }) } })]),
  ).rejects.toThrow(/POST \/x: the bare schema carries no JSON Schema/)
})

describe('schemas', () => {
  const check = async (schema: AnySchema, payload: unknown): Promise<number> => {
    const { http } = await lab([post(schema)])
    return (
      await http.inject({
        method: 'POST',
        url: '/x',
        headers: { 'content-type': 'application/json' },
        payload: JSON.stringify(payload),
      })
    ).statusCode
  }

  it('report unknown keys everywhere: nested, in lists, in unions, in intersections', async () => {
    const Inner = Type.Object({ a: Type.String() })
    expect(await check(Type.Object({ in: Inner }), { in: { a: 'x', b: 1 } })).toBe(422)
    expect(await check(Type.Object({ in: Type.Array(Inner) }), { in: [{ a: 'x', b: 1 }] })).toBe(422)
    expect(await check(Type.Union([Inner, Type.Object({ c: Type.String() })]), { c: 'x', d: 1 })).toBe(422)
    expect(await check(Type.Union([Inner, Type.Object({ c: Type.String() })]), { c: 'x' })).toBe(200)
    const Both = Type.Intersect([Inner, Type.Object({ c: Type.String() })])
    expect(await check(Both, { a: 'x', c: 'y' })).toBe(200)
    expect(await check(Both, { a: 'x', c: 'y', d: 1 })).toBe(422)
    expect(await check(Type.Record(Type.String(), Type.Integer()), { any: 1 })).toBe(200)
    expect(await check(Type.Object({ a: Type.String() }, { additionalProperties: true }), { a: 'x', b: 1 })).toBe(200)
  })

  it('may be named, shared, recursive, or tuples', async () => {
    const Tree = {
      $id: 'Tree',
      type: 'object',
      properties: { name: { type: 'string' }, children: { type: 'array', items: { $ref: 'Tree' } } },
      required: ['name'],
    } as unknown as AnySchema
    const { http } = await lab([
      route({
        method: 'POST',
        url: '/tree',
        id: 'tree',
        summary: 'Tree',
        access: 'public',
        body: Tree,
        data: Tree,
        handler: ({ body }) => body as never,
      }) as Route,
      route({
        method: 'POST',
        url: '/again',
        id: 'again',
        summary: 'Again',
        access: 'public',
        body: Tree,
        data: Tree,
        handler: ({ body }) => body as never,
      }) as Route,
    ])
    const good = { name: 'a', children: [{ name: 'b', children: [] }] }
    expect((await http.inject({ method: 'POST', url: '/tree', payload: good })).json().data).toEqual(good)
    expect(
      (
        await http.inject({ method: 'POST', url: '/again', payload: { name: 'a', children: [{ name: 'b', x: 1 }] } })
      ).json().error.meta.fields[0],
    ).toMatchObject({ path: '/children/0/x', code: 'unknown' })
    expect(Object.keys((http.document()['components'] as { schemas: object }).schemas)).toContain('Tree')
    const Pair = Type.Object({ pair: Type.Tuple([Type.String(), Type.Integer()]) })
    const tuples = await lab([post(Pair, Pair)])
    expect((await tuples.http.inject({ method: 'POST', url: '/x', payload: { pair: ['a', 1] } })).json().data).toEqual({
      pair: ['a', 1],
    })
    expect((await tuples.http.inject({ method: 'POST', url: '/x', payload: { pair: ['a', 'b'] } })).statusCode).toBe(
      422,
    )
    expect((await tuples.http.inject({ method: 'POST', url: '/x', payload: { pair: ['a', 1, 2] } })).statusCode).toBe(
      422,
    )
  })

  it('let only declared fields out of unions and intersections too', async () => {
    const User = Type.Object({ id: Type.String() })
    const leaky = { id: '1', hash: 'secret', items: [{ id: '2', hash: 'secret' }] }
    for (const data of [
      User,
      Type.Union([User, Type.Null()]),
      Type.Intersect([User, Type.Object({ items: Type.Array(User) })]),
      Type.Object({ id: Type.String(), items: Type.Optional(Type.Array(Type.Union([User, Type.String()]))) }),
    ]) {
      const { http } = await lab([
        route({
          method: 'GET',
          url: '/u',
          id: 'u',
          summary: 'U',
          access: 'public',
          data,
          handler: () => leaky as never,
        }) as Route,
      ])
      const answer = await http.inject('/u')
      expect(answer.statusCode).toBe(200)
      expect(answer.body).toContain('"id":"1"')
      expect(answer.body).not.toContain('secret')
    }
  })
})

describe('the words of tsforge/schema', () => {
  const Row = Type.Object(
    {
      id: Uuid,
      made_at: Timestamp,
      left_at: nullable(Timestamp),
      role: nullable(Type.Union([Type.Literal('owner'), Type.Literal('member')])),
      kind: nullable(Type.Unsafe<'a'>({ type: 'string', enum: ['a'] })),
      note: Type.Optional(nullable(Type.String({ maxLength: 3 }))),
    },
    { $id: 'Row' },
  )
  const row = {
    id: '0190a1b2-c3d4-7e5f-8a9b-000000000001',
    made_at: new Date('2026-01-01T00:00:00.123Z'),
    left_at: null,
    role: null,
    kind: null,
    secret: 'not declared',
  }
  const serve = (answer: () => Omit<typeof row, 'left_at'> & { left_at: Date | null }) =>
    lab([
      route({
        method: 'POST',
        url: '/rows',
        id: 'rows',
        summary: 'Rows',
        access: 'public',
        body: Type.Object({
          since: nullable(Timestamp),
          kind: nullable(Type.Unsafe<'a'>({ type: 'string', enum: ['a'] })),
        }),
        data: Row,
        handler: answer,
      }),
    ])

  it('let a row leave as it is, dates and nulls included', async () => {
    const { http } = await serve(() => row)
    const payload = { since: null, kind: null }
    const answer = await http.inject({ method: 'POST', url: '/rows', payload })
    const { secret: _secret, ...shown } = row
    expect(answer.json().data).toEqual({ ...shown, made_at: '2026-01-01T00:00:00.123Z' })
    const seen = { method: 'POST', url: '/rows', status: 200, headers: answer.headers, body: answer.body }
    expect(http.validateAnswer(seen)).toEqual([])
    const dated = await serve(() => ({ ...row, left_at: new Date(0) }))
    const left = await dated.http.inject({ method: 'POST', url: '/rows', payload })
    expect(left.json().data.left_at).toBe('1970-01-01T00:00:00.000Z')
  })

  it('say the same in the document and in validation', async () => {
    const { http } = await serve(() => row)
    expect(http.document()).toHaveProperty(['components', 'schemas', 'Row', 'properties'], {
      id: { type: 'string', format: 'uuid' },
      made_at: { type: 'string', format: 'date-time' },
      left_at: { type: ['string', 'null'], format: 'date-time' },
      role: {
        anyOf: [
          {
            anyOf: [
              { type: 'string', const: 'owner' },
              { type: 'string', const: 'member' },
            ],
          },
          { type: 'null' },
        ],
      },
      kind: { anyOf: [{ type: 'string', enum: ['a'] }, { type: 'null' }] },
      note: { type: ['string', 'null'], maxLength: 3 },
    })
    const status = async (payload: object): Promise<number> =>
      (await http.inject({ method: 'POST', url: '/rows', payload })).statusCode
    expect(await status({ since: '2026-01-01T00:00:00Z', kind: 'a' })).toBe(200)
    expect(await status({ since: 'yesterday', kind: 'a' })).toBe(422)
    expect(await status({ since: null, kind: 'b' })).toBe(422)
    expect(await status({ since: 5, kind: null })).toBe(422)
  })
})

describe('formats', () => {
  const good: Record<string, string[]> = {
    email: ['a@b.co', 'first.last+tag@sub.example.com'],
    uuid: ['0190a1b2-c3d4-7e5f-8a9b-000000000001'],
    date: ['2024-02-29'],
    'date-time': ['2026-01-01T23:59:60Z', '2026-01-01t00:00:00.123+07:00'],
    ipv4: ['0.0.0.0', '255.255.255.255'],
    ipv6: ['::1', '2001:db8::1'],
    hostname: ['a', 'xn--a.example'],
    uri: ['https://a.example/x?y#z', 'urn:isbn:1'],
    url: ['http://a.example'],
    time: ['10:00:00Z'],
  }
  const bad: Record<string, string[]> = {
    email: [
      'a',
      'a@b',
      '@b.co',
      'a..b@c.co',
      '.a@c.co',
      'a@-b.co',
      'a b@c.co',
      'a@b.co\n',
      'a@b.co\r\nBcc: x@y.z',
      `${'a'.repeat(65)}@b.co`,
      'a@b..co',
    ],
    uuid: ['x', '0190a1b2c3d47e5f8a9b000000000001'],
    date: ['2023-02-29', '2026-13-01', '2026-1-1'],
    'date-time': ['2026-01-01', '2026-01-01T24:00:00Z', '2026-01-01T00:00:00'],
    ipv4: ['256.1.1.1', '01.1.1.1.1', '1.1.1'],
    ipv6: [':::', '1', 'fe80::1%eth0'],
    hostname: ['-a', 'a_b', 'a..b', ''],
    uri: ['x', '/a', 'http://[', 'java script:x'],
    url: ['javascript:alert(1)', 'ftp://a'],
    time: ['25:00:00Z'],
  }
  for (const name of Object.keys(good)) {
    it(`${name} accepts what is right and refuses what is not`, () => {
      for (const text of good[name]!) expect([text, formats[name]!(text)]).toEqual([text, true])
      for (const text of bad[name]!) expect([text, formats[name]!(text)]).toEqual([text, false])
    })
  }

  it('refuse 50 kB of any kind', () => {
    for (const [name, test] of Object.entries(formats)) {
      for (const text of [
        'a'.repeat(50_000),
        `a@${'a.'.repeat(25_000)}`,
        '-'.repeat(50_000),
        '1'.repeat(50_000),
        '('.repeat(50_000),
      ]) {
        if (!['regex', 'byte', 'base64', 'base64url', 'uri-reference'].includes(name))
          expect([name, test(text)]).toEqual([name, false])
      }
    }
  })
})
