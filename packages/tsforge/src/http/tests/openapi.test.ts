import { Ajv2020 } from 'ajv/dist/2020.js'
import { afterEach, describe, expect, it } from 'vitest'
import { defineErrors } from '../../kernel/errors.ts'
import { created, pageQuery, route } from '../index.ts'
import type { Route } from '../index.ts'
import { Type, Uuid } from '../schema.ts'
import { closeLabs, lab } from './fixture.ts'
import type { Lab } from './fixture.ts'

afterEach(closeLabs)

const notes = defineErrors({
  'notes.full': {
    status: 409,
    message: { en: 'There are {count} notes already.', id: 'Sudah ada {count} catatan.' },
    fix: 'Delete one.',
  },
})
const Note = Type.Object(
  {
    id: Type.String({ format: 'uuid' }),
    title: Type.String(),
    at: Type.String({ format: 'date-time' }),
    tags: Type.Array(Type.String()),
  },
  { $id: 'Note' },
)
const Pair = Type.Tuple([Type.String(), Type.Integer()])
const note = { id: '0190a1b2-c3d4-7e5f-8a9b-000000000001', title: 'x', at: '2026-01-01T00:00:00Z', tags: [] }

const routes: Route[] = [
  route({
    method: 'GET',
    url: '/notes',
    id: 'listNotes',
    summary: 'List notes',
    tags: ['notes'],
    access: 'notes.read',
    query: Type.Object({ limit: Type.Integer({ minimum: 1, default: 20, description: 'Page size.' }) }),
    data: Type.Object({ items: Type.Array(Note) }),
    handler: () => ({ items: [note] }),
  }),
  route({
    method: 'POST',
    url: '/notes',
    id: 'addNote',
    summary: 'Add a note',
    tags: ['notes'],
    access: 'authenticated',
    body: Type.Object({ title: Type.String(), pair: Type.Optional(Pair) }),
    data: Note,
    status: 201,
    errors: ['notes.full'],
    handler: () => created(note),
  }),
  route({
    method: 'DELETE',
    url: '/notes/:id',
    id: 'dropNote',
    summary: 'Drop a note',
    access: 'public',
    params: Type.Object({ id: Type.String({ format: 'uuid' }) }),
    data: null,
    handler: () => undefined as never,
  }),
  route({
    method: 'GET',
    url: '/free/:a/:b',
    id: 'free',
    summary: 'Free',
    access: 'public',
    data: Type.Union([Note, Type.Null()]),
    handler: () => null,
  }),
  route({
    method: 'GET',
    url: '/keys',
    id: 'keys',
    summary: 'Keys',
    access: 'public',
    plain: true,
    data: Type.Object({ keys: Type.Array(Type.Unknown()) }),
    handler: () => ({ keys: [] }),
  }),
  route({
    method: 'GET',
    url: '/secret',
    id: 'secret',
    summary: 'Secret',
    access: 'public',
    hidden: true,
    data: Type.Object({}),
    handler: () => ({}),
  }),
]
const serve = (): Promise<Lab> =>
  lab(routes, {
    catalogues: [notes],
    permissions: { 'notes.read': { description: 'Read' } },
    authenticators: [
      {
        name: 'bearer',
        scheme: { type: 'http', scheme: 'bearer' },
        authenticate: ({ authorization }) =>
          authorization === undefined ? undefined : { kind: 'user', id: 'u', tenantId: note.id },
      },
    ],
    tenantGate: () => undefined,
    authorizer: () => true,
  })

interface Doc {
  readonly openapi: string
  readonly paths: Record<
    string,
    Record<
      string,
      {
        operationId: string
        security: unknown[]
        parameters: { $ref?: string; name?: string; in?: string }[]
        responses: Record<string, { content?: Record<string, { schema: object; examples?: object }> }>
      }
    >
  >
  readonly components: {
    readonly schemas: Record<string, object>
    readonly examples: Record<string, object>
    readonly responses: Record<string, { readonly content: Record<string, { readonly examples?: object }> }>
    readonly securitySchemes: object
  }
}

describe('the document', () => {
  it('describes what goes over the wire: envelope, errors, parameters, security', async () => {
    const { http } = await serve()
    const doc = http.document() as unknown as Doc
    expect(doc.openapi).toBe('3.1.0')
    expect(Object.keys(doc.paths)).toEqual(['/notes', '/notes/{id}', '/free/{a}/{b}', '/keys'])
    const add = doc.paths['/notes']!['post']!
    expect(add.security).toEqual([{ bearer: [] }])
    expect(add.responses['201']!.content!['application/json']!.schema).toMatchObject({
      required: ['success', 'data', 'request_id'],
      properties: { data: { $ref: '#/components/schemas/Note' } },
    })
    expect(add.responses['409']!.content!['application/json']!.examples).toEqual({
      'notes.full': { $ref: '#/components/examples/notes.full' },
    })
    expect(doc.components.examples['notes.full']).toMatchObject({
      summary: 'There are {count} notes already.',
      description: 'Delete one.',
      value: { success: false, error: { code: 'notes.full' } },
    })
    expect(add.responses['401']).toEqual({ $ref: '#/components/responses/Unauthorized' })
    expect(Object.keys(add.responses)).toEqual([
      '201',
      '400',
      '401',
      '403',
      '406',
      '409',
      '413',
      '415',
      '422',
      '500',
      '503',
      'default',
    ])
    const list = doc.paths['/notes']!['get']!
    expect(list).toMatchObject({ 'x-permission': 'notes.read', operationId: 'listNotes', tags: ['notes'] })
    expect(list.parameters).toEqual([
      {
        name: 'limit',
        in: 'query',
        required: false,
        description: 'Page size.',
        schema: { type: 'integer', minimum: 1, default: 20 },
      },
      { $ref: '#/components/parameters/TenantId' },
      { $ref: '#/components/parameters/IfNoneMatch' },
    ])
    expect(doc.paths['/notes/{id}']!['delete']!.responses['204']!.content).toBeUndefined()
    expect(doc.paths['/keys']!['get']!.responses['200']!.content!['application/json']!.schema).toMatchObject({
      properties: { keys: { type: 'array' } },
    })
  })

  it('holds together: every reference resolves, every path parameter is declared, ids are unique, schemas are valid 2020-12', async () => {
    const { http } = await serve()
    const doc = http.document() as unknown as Doc
    const at = (pointer: string): unknown =>
      pointer
        .slice(2)
        .split('/')
        .reduce<unknown>(
          (node, key) =>
            (node as Record<string, unknown> | undefined)?.[
              decodeURIComponent(key).replaceAll('~1', '/').replaceAll('~0', '~')
            ],
          doc,
        )
    const refs = [...JSON.stringify(doc).matchAll(/"\$ref":"([^"]+)"/g)].map((match) => match[1]!)
    expect(refs.length).toBeGreaterThan(10)
    for (const ref of refs) expect([ref, at(ref)]).not.toEqual([ref, undefined])
    const ids: string[] = []
    for (const [path, operations] of Object.entries(doc.paths)) {
      for (const operation of Object.values(operations)) {
        ids.push(operation.operationId)
        const declared = operation.parameters
          .filter((parameter) => parameter.in === 'path')
          .map((parameter) => parameter.name)
        expect(declared).toEqual([...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]))
        for (const response of Object.values(operation.responses))
          expect(
            (response as { description?: string; $ref?: string }).description ?? (response as { $ref?: string }).$ref,
          ).toBeTypeOf('string')
      }
    }
    expect(new Set(ids).size).toBe(ids.length)
    const ajv = new Ajv2020({ strict: false })
    for (const [name, schema] of Object.entries(doc.components.schemas))
      expect([name, ajv.validateSchema(schema)]).toEqual([name, true])
  })

  it('says what follows from the words of a route: If-Match, its errors, those of pages, the ETag', async () => {
    const Versioned = Type.Object({ id: Uuid, version: Type.Integer() })
    const base = { summary: 'X', access: 'public', data: Versioned, etag: 'version' } as const
    const row = { id: note.id, version: 3 }
    const { http } = await lab([
      route({ ...base, method: 'PUT', url: '/a', id: 'a', precondition: 'required', handler: () => row }),
      route({ ...base, method: 'PATCH', url: '/a', id: 'b', precondition: 'optional', handler: () => row }),
      route({
        ...base,
        method: 'GET',
        url: '/list',
        id: 'list',
        query: Type.Object({ ...pageQuery, state: Type.Optional(Type.String()) }),
        handler: () => row,
      }),
    ])
    const doc = http.document() as unknown as Doc
    const codes = (path: string, method: string, status: string): string[] => {
      const response = doc.paths[path]![method]!.responses[status]! as { $ref?: string; content?: object }
      const { content } =
        response.$ref === undefined ? response : doc.components.responses[response.$ref.split('/').at(-1)!]!
      return Object.keys((content as Record<string, { examples: object }>)['application/json']!.examples)
    }
    const put = doc.paths['/a']!['put']!
    expect(put.parameters).toEqual([{ $ref: '#/components/parameters/IfMatchRequired' }])
    expect(doc.paths['/a']!['patch']!.parameters).toEqual([{ $ref: '#/components/parameters/IfMatch' }])
    expect(codes('/a', 'put', '412')).toEqual(['precondition.failed'])
    expect(codes('/a', 'put', '428')).toEqual(['precondition.required'])
    expect(codes('/a', 'put', '400')).toContain('precondition.malformed')
    expect(doc.paths['/a']!['patch']!.responses).not.toHaveProperty('428')
    expect(put.responses['200']).toHaveProperty(['headers', 'ETag'])
    expect(put.responses).not.toHaveProperty('304')
    const list = codes('/list', 'get', '400')
    for (const code of ['page.sort_invalid', 'page.cursor_invalid', 'page.offset_invalid', 'page.position_ambiguous'])
      expect(list).toContain(code)
    expect(codes('/a', 'put', '400')).not.toContain('page.cursor_invalid')
  })

  it('is served as one cached text with an ETag', async () => {
    const { http } = await serve()
    const first = await http.inject('/openapi.json')
    expect([first.statusCode, first.headers['content-type'], first.headers['cache-control']]).toEqual([
      200,
      'application/json; charset=utf-8',
      'no-cache',
    ])
    expect(first.json()).toEqual(JSON.parse(JSON.stringify(http.document())))
    expect(
      (await http.inject({ url: '/openapi.json', headers: { 'if-none-match': String(first.headers.etag) } }))
        .statusCode,
    ).toBe(304)
  })
})

describe('validateAnswer', () => {
  it('accepts what the server answers', async () => {
    const { http } = await serve()
    const authorization = 'Bearer x'
    const calls = [
      ['GET', '/notes', '/notes', { authorization }],
      ['GET', '/notes', '/notes?limit=0', { authorization }],
      ['GET', '/notes', '/notes', {}],
      ['POST', '/notes', '/notes', { authorization }],
      ['DELETE', '/notes/:id', `/notes/${note.id}`, {}],
      ['DELETE', '/notes/:id', '/notes/x', {}],
      ['GET', '/free/:a/:b', '/free/1/2', {}],
      ['HEAD', '/keys', '/keys', {}],
      ['GET', '/keys', '/keys', {}],
      ['GET', undefined, '/nowhere', {}],
      ['GET', '/notes', '/notes', { accept: 'application/problem+json' }],
    ] as const
    for (const [method, url, target, headers] of calls) {
      const answer = await http.inject({
        method,
        url: target,
        headers,
        ...(method === 'POST' && { payload: { title: 'x' } }),
      })
      expect([
        target,
        http.validateAnswer({ method, url, status: answer.statusCode, headers: answer.headers, body: answer.body }),
      ]).toEqual([target, []])
    }
  })

  it('finds undeclared statuses, media types, missing headers and foreign fields', async () => {
    const { http } = await serve()
    const seen = {
      method: 'GET',
      url: '/free/:a/:b',
      status: 200,
      headers: { 'x-request-id': '1', 'content-type': 'application/json' },
      body: JSON.stringify({ success: true, data: null, request_id: '1' }),
    }
    expect(http.validateAnswer(seen)).toEqual([])
    expect(http.validateAnswer({ ...seen, headers: { 'content-type': 'application/json' } })).toEqual([
      'header X-Request-ID is missing',
    ])
    expect(http.validateAnswer({ ...seen, status: 202 })).toEqual(['status 202 is not declared'])
    expect(http.validateAnswer({ ...seen, headers: { ...seen.headers, 'content-type': 'text/html' } })[0]).toContain(
      'content type "text/html"',
    )
    expect(
      http
        .validateAnswer({
          ...seen,
          body: JSON.stringify({ success: true, data: { ...note, password: 1 }, request_id: '1' }),
        })
        .join(),
    ).toContain('additionalProperty":"password"')
    expect(http.validateAnswer({ ...seen, status: 404, body: '{"error":"x"}' })).not.toEqual([])
    expect(http.validateAnswer({ ...seen, url: '/unknown' })).toEqual(['GET /unknown is not in the document'])
  })
})

describe('the page', () => {
  it('comes with all its files from this server, under a policy without inline script', async () => {
    const { http } = await serve()
    const page = await http.inject('/docs')
    expect(page.headers['content-security-policy']).toContain("script-src 'self';")
    expect(page.body).not.toMatch(/<script>|https?:\/\/|onload=/)
    const files = [...page.body.matchAll(/(?:src|href)="(docs\/[^"]+)"/g)].map((match) => match[1]!)
    expect(files).toHaveLength(4)
    for (const file of files) {
      const answer = await http.inject(`/${file}`)
      expect([file, answer.statusCode, answer.headers['x-content-type-options']]).toEqual([file, 200, 'nosniff'])
      expect(answer.rawPayload.length).toBeGreaterThan(50)
    }
    expect((await http.inject('/docs/swagger-ui.css')).headers['content-type']).toBe('text/css; charset=utf-8')
  })

  it('serves nothing else', async () => {
    const { http } = await serve()
    for (const file of [
      'index.html',
      '..%2f..%2fpackage.json',
      '%2e%2e',
      'constructor',
      '__proto__',
      'swagger-ui.js',
      'csp.json',
    ])
      expect([file, (await http.inject(`/docs/${file}`)).statusCode]).toEqual([file, 404])
  })

  it('can be switched off together with the document', async () => {
    const { http } = await lab(routes.slice(2), { options: { docs: false } })
    expect([(await http.inject('/docs')).statusCode, (await http.inject('/openapi.json')).statusCode]).toEqual([
      404, 404,
    ])
  })
})
