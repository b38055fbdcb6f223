import { afterEach, describe, expect, it } from 'vitest'
import { createFakeClock } from '../../testing/clock.ts'
import { created, noContent, reply, route } from '../index.ts'
import { Type } from '../schema.ts'
import { closeLabs, lab } from './fixture.ts'

afterEach(closeLabs)

const Note = Type.Object({ id: Type.String(), title: Type.String() })
const getNote = route({
  method: 'GET',
  url: '/notes/:id',
  id: 'getNote',
  summary: 'One note',
  access: 'public',
  params: Type.Object({ id: Type.String() }),
  query: Type.Object({ limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 })) }),
  data: Note,
  handler: ({ params, query }) => ({ id: params.id, title: `first ${query.limit ?? 'any'}`, passwordHash: 'secret' }),
})
const addNote = route({
  method: 'POST',
  url: '/notes',
  id: 'addNote',
  summary: 'Add a note',
  access: 'public',
  body: Type.Object({ title: Type.String({ minLength: 2, maxLength: 20 }), stars: Type.Optional(Type.Integer()) }),
  data: Note,
  status: 201,
  handler: async ({ body }) => created({ id: '1', title: body.title }, { location: '/notes/1' }),
})
const dropNote = route({
  method: 'DELETE',
  url: '/notes/:id',
  id: 'dropNote',
  summary: 'Drop',
  access: 'public',
  params: Type.Object({ id: Type.String() }),
  data: null,
  handler: () => noContent(),
})

describe('the answer', () => {
  it('wraps data in the envelope and lets only declared fields out', async () => {
    const { http } = await lab([getNote])
    const answer = await http.inject({ url: '/notes/7?limit=3', headers: { 'x-request-id': 'abc-1' } })
    expect(answer.statusCode).toBe(200)
    expect(answer.json()).toEqual({ success: true, data: { id: '7', title: 'first 3' }, request_id: 'abc-1' })
    expect(answer.headers['x-request-id']).toBe('abc-1')
    expect(answer.headers['content-type']).toBe('application/json; charset=utf-8')
    expect(answer.headers['cache-control']).toBe('no-store')
  })

  it('keeps status, location and headers of the handler', async () => {
    const teapot = route({
      method: 'GET',
      url: '/tea',
      id: 'tea',
      summary: 'Tea',
      access: 'public',
      data: Type.Object({}),
      handler: () => reply({}, { status: 203, headers: { 'Cache-Control': 'private', Vary: 'x-tea' } }),
    })
    const { http } = await lab([addNote, dropNote, teapot], { options: { corsOrigins: ['https://a.example'] } })
    const added = await http.inject({ method: 'POST', url: '/notes', payload: { title: 'hello' } })
    expect([added.statusCode, added.headers.location]).toEqual([201, '/notes/1'])
    const dropped = await http.inject({ method: 'DELETE', url: '/notes/1' })
    expect([dropped.statusCode, dropped.body, dropped.headers['content-length']]).toEqual([204, '', undefined])
    const tea = await http.inject('/tea')
    expect([tea.statusCode, tea.headers['cache-control'], tea.headers.vary]).toEqual([203, 'private', 'origin, x-tea'])
  })

  it('has the same tag for the same data although request ids differ, and answers 304 for it', async () => {
    const { http } = await lab([getNote])
    const first = await http.inject('/notes/7')
    const second = await http.inject('/notes/7')
    expect(first.body).not.toBe(second.body)
    expect(first.headers.etag).toMatch(/^"[\w-]{22}"$/)
    expect(second.headers.etag).toBe(first.headers.etag)
    const again = await http.inject({
      url: '/notes/7',
      headers: { 'if-none-match': `"x", W/${String(first.headers.etag)}` },
    })
    expect([again.statusCode, again.body, again.headers.etag]).toEqual([304, '', first.headers.etag])
    const other = await http.inject({ url: '/notes/8', headers: { 'if-none-match': String(first.headers.etag) } })
    expect(other.statusCode).toBe(200)
  })

  it('answers HEAD like GET without the body', async () => {
    const { http } = await lab([getNote])
    const get = await http.inject({ url: '/notes/7', headers: { 'x-request-id': 'same' } })
    const head = await http.inject({ method: 'HEAD', url: '/notes/7', headers: { 'x-request-id': 'same' } })
    expect([head.statusCode, head.body]).toEqual([200, ''])
    expect(head.headers['content-length']).toBe(get.headers['content-length'])
    expect(head.headers.etag).toBe(get.headers.etag)
  })

  it('answers 500 internal when data does not fit its schema, and logs the reason once', async () => {
    const broken = route({
      method: 'GET',
      url: '/broken',
      id: 'broken',
      summary: 'Broken',
      access: 'public',
      data: Note,
      handler: () => ({}) as never,
    })
    const { http, logged } = await lab([broken])
    const answer = await http.inject('/broken')
    expect(answer.statusCode).toBe(500)
    expect(answer.json()).toMatchObject({ success: false, error: { code: 'internal' } })
    expect(answer.body).not.toContain('required')
    expect(logged).toHaveLength(1)
    expect(String(logged[0]!.fields['err'])).toContain('required')
  })
})

describe('validation', () => {
  it('reports every fault with place, code and sentence, unknown keys included', async () => {
    const { http } = await lab([addNote])
    const answer = await http.inject({
      method: 'POST',
      url: '/notes',
      payload: { title: 'x', stars: '5', is_admin: true },
    })
    expect(answer.statusCode).toBe(422)
    expect(answer.json().error.code).toBe('http.validation_failed')
    expect(answer.json().error.meta.fields).toEqual(
      expect.arrayContaining([
        {
          in: 'body',
          path: '/title',
          code: 'too_short',
          message: 'must have at least 2 characters',
          params: { limit: 2 },
        },
        { in: 'body', path: '/stars', code: 'type', message: 'must be integer', params: { type: 'integer' } },
        { in: 'body', path: '/is_admin', code: 'unknown', message: 'is not known here' },
      ]),
    )
  })
})

describe('a body that the handler reads by itself', () => {
  const count = route({
    method: 'POST',
    url: '/files',
    id: 'addFile',
    summary: 'Add a file',
    access: 'public',
    idempotency: 'refused',
    bodyStream: true,
    data: Type.Object({ bytes: Type.Integer() }),
    handler: async ({ raw }) => {
      let bytes = 0
      for await (const piece of raw.request.raw) bytes += (piece as Buffer).length
      return { bytes }
    },
  })

  it.each([1000, 65_537, 1_000_000])('is answered at once when it is read, also of %d injected bytes', async (size) => {
    const { http } = await lab([count], { clock: createFakeClock() })
    const payload = Buffer.alloc(size)
    const answer = await http.inject({ method: 'POST', url: '/files', payload })
    expect(answer.json()).toMatchObject({ data: { bytes: size } })
    expect(answer.headers.connection).not.toBe('close')
  })
})
