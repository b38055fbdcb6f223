import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { createContext, runWithContext } from '../../kernel/context.ts'
import { ForgeError } from '../../kernel/errors.ts'
import type { PageRequest, Slice } from '../../kernel/page.ts'
import { createCursors } from '../cursors.ts'
import { definePage, pageOf, pageQuery, pageSchema, parsePage } from '../pagination.ts'
import type { Page, PageQuery } from '../pagination.ts'
import { route } from '../route.ts'
import { Type } from '../schema.ts'
import { closeLabs, lab } from './fixture.ts'

const cursors = createCursors({ derive: (purpose) => Buffer.alloc(32, purpose) })
const spec = definePage({ name: 'notes', sort: ['created_at', 'title'], defaultSort: '-created_at' })
const parse = (query: object, tenantId: string | null = 't1', scope?: Record<string, unknown>): Page =>
  runWithContext(createContext({ requestId: 'r', tenantId }), () => parsePage(query as PageQuery, spec, cursors, scope))
const slice = (values: Partial<Slice<number>> = {}): Slice<number> => ({
  items: [1, 2],
  next: undefined,
  previous: undefined,
  total: undefined,
  ...values,
})
const codeOf = (fn: () => unknown): string => {
  try {
    fn()
  } catch (error) {
    return error instanceof ForgeError ? `${error.status} ${error.code}` : `500 ${String(error)}`
  }
  return 'accepted'
}

describe('parsePage', () => {
  it('has defaults and clamps the limit once, to be echoed', () => {
    expect(parse({})).toMatchObject({
      limit: 20,
      total: false,
      position: undefined,
      order: [{ column: 'created_at', direction: 'desc' }],
    })
    const page = parse({ limit: 5000, offset: 40, sort: 'title,-created_at', total: true })
    expect(page).toMatchObject({
      limit: 100,
      total: true,
      position: { kind: 'offset', offset: 40 },
      order: [
        { column: 'title', direction: 'asc' },
        { column: 'created_at', direction: 'desc' },
      ],
    })
    expect(pageOf(slice({ total: 0 }), page)).toEqual({
      items: [1, 2],
      page: { limit: 100, next_cursor: null, prev_cursor: null, total: 0 },
    })
  })

  it('takes back its own cursors, in both directions, nulls and all', () => {
    const page = parse({ state: 'open', limit: 2 })
    const { next_cursor, prev_cursor } = pageOf(slice({ next: [null, 'ü\0"'], previous: ['', '1'] }), page, String).page
    expect(parse({ state: 'open', limit: 9, cursor: next_cursor })).toMatchObject({
      limit: 9,
      position: { kind: 'after', keys: [null, 'ü\0"'] },
    })
    expect(parse({ cursor: prev_cursor, state: 'open' }).position).toEqual({ kind: 'before', keys: ['', '1'] })
  })

  it('refuses a cursor of another tenant, sort, filter, scope or list', () => {
    const cursor = parse({ state: 'open', tag: ['a', 'b'] }, 't1', { project: 1 }).cursor('after', ['1'])
    const ask = (query: object, tenantId: string | null, scope: Record<string, unknown> | undefined): string =>
      codeOf(() => parse({ state: 'open', tag: ['a', 'b'], cursor, ...query }, tenantId, scope))
    const refused = '400 page.cursor_invalid'
    expect(ask({}, 't1', { project: 1 })).toBe('accepted')
    expect(ask({ sort: '-created_at', total: true, limit: 3 }, 't1', { project: 1 })).toBe('accepted')
    expect(ask({}, 't2', { project: 1 })).toBe(refused)
    expect(ask({}, null, { project: 1 })).toBe(refused)
    expect(ask({}, 't1', { project: 2 })).toBe(refused)
    expect(ask({}, 't1', undefined)).toBe(refused)
    expect(ask({ sort: 'created_at' }, 't1', { project: 1 })).toBe(refused)
    expect(ask({ state: 'closed' }, 't1', { project: 1 })).toBe(refused)
    expect(ask({ tag: ['a'] }, 't1', { project: 1 })).toBe(refused)
    expect(ask({ owner: 'x' }, 't1', { project: 1 })).toBe(refused)
    const elsewhere = definePage({ ...spec, name: 'files' })
    expect(codeOf(() => parsePage({ cursor }, elsewhere, cursors))).toBe(refused)
    const otherApp = createCursors({ derive: () => Buffer.alloc(32, 'other') })
    expect(codeOf(() => parsePage({ cursor: parse({}, null).cursor('after', ['1']) }, spec, otherApp))).toBe(refused)
  })

  it('refuses a cursor of which one character was changed', () => {
    const cursor = parse({}).cursor('after', ['2026-01-01 00:00:00+00', '7'])
    for (let at = 0; at < cursor.length; at++) {
      const forged = cursor.slice(0, at) + (cursor[at] === 'A' ? 'B' : 'A') + cursor.slice(at + 1)
      expect(codeOf(() => parse({ cursor: forged }))).toBe('400 page.cursor_invalid')
    }
  })

  it.each([
    { sort: 'password_hash' },
    { sort: "title'; drop table notes; --" },
    { sort: '(select pg_sleep(3))' },
    { sort: 'title,title' },
    { sort: '--title' },
    { sort: 'title,' },
    { sort: ' title' },
    { sort: "data->>'x'" },
    { sort: 'constructor' },
    { sort: '__proto__' },
    { sort: 'a'.repeat(100_000) },
    { sort: ['title', 'title'] },
    { sort: 'title\0' },
    { sort: '\ud800' },
    { limit: 0 },
    { limit: -1 },
    { limit: 1.5 },
    { limit: NaN },
    { limit: '9223372036854775808' },
    { limit: 2 ** 63 },
    { limit: [1] },
    { limit: '1e3' },
    { offset: -1 },
    { offset: 10_001 },
    { offset: 2 ** 63 },
    { offset: '0x10' },
    { offset: null },
    { cursor: 'x' },
    { cursor: '.' },
    { cursor: `.${'A'.repeat(22)}` },
    { cursor: `e30.${'A'.repeat(22)}` },
    { cursor: 'A'.repeat(1_000_000) },
    { cursor: ['a', 'b'] },
    { cursor: { $gt: '' } },
    { cursor: '\0' },
    { cursor: `${'ü'.repeat(11)}.${'ü'.repeat(22)}` },
    { cursor: 'eyJhIjoxfQ', offset: 1 },
  ])('answers 400 to %j', (query) => {
    expect(codeOf(() => parse(query))).toMatch(/^400 page\./)
  })

  it('never fails on our side, whatever comes', () => {
    const anything = fc.record(
      {
        limit: fc.anything(),
        offset: fc.anything(),
        sort: fc.oneof(fc.string(), fc.anything()),
        cursor: fc.oneof(fc.string(), fc.anything()),
        total: fc.anything(),
        q: fc.string(),
      },
      { requiredKeys: [] },
    )
    fc.assert(
      fc.property(anything, (query) => void expect(codeOf(() => parse(query))).toMatch(/^(400 page\.|accepted)/)),
      { numRuns: 500 },
    )
  })

  it('refuses to make a cursor that no URL would hold', () => {
    expect(codeOf(() => parse({}).cursor('after', ['x'.repeat(5000)]))).toBe('500 page.cursor_too_long')
  })

  it('checks a list when it is described', () => {
    expect(() => definePage({ name: 'x', sort: ['a'], defaultSort: 'b' })).toThrow()
    expect(() => definePage({ name: 'x', sort: ['a'], defaultLimit: 200 })).toThrow('limit')
  })
})

describe('a paged route', () => {
  afterEach(closeLabs)
  /** Pages over the numbers 1 to 50, descending by default. */
  const find = ({ limit, position, total }: PageRequest): Slice<{ id: number }> => {
    const start =
      position === undefined
        ? 0
        : position.kind === 'offset'
          ? position.offset
          : position.kind === 'after'
            ? Number(position.keys[0])
            : Math.max(0, Number(position.keys[0]) - 1 - limit)
    const items = Array.from({ length: Math.max(0, Math.min(limit, 50 - start)) }, (_, i) => ({ id: start + i + 1 }))
    const last = items.at(-1)?.id ?? start
    return {
      items,
      next: last < 50 ? [String(last)] : undefined,
      previous: start > 0 ? [String(start + 1)] : undefined,
      total: total === true ? 50 : undefined,
    }
  }
  const numbers = route({
    method: 'GET',
    url: '/numbers',
    id: 'listNumbers',
    summary: 'Numbers',
    access: 'public',
    query: Type.Object({ ...pageQuery, state: Type.Optional(Type.String()) }),
    data: pageSchema(Type.Object({ id: Type.Integer() })),
    handler: ({ query }) => {
      const page = parsePage(query, spec, cursors)
      return pageOf(find(page), page)
    },
  })

  it('walks from page to page and back over the wire', async () => {
    const { http } = await lab([numbers])
    const get = async (
      query: string,
    ): Promise<{ status: number; body: { data: { items: { id: number }[]; page: Record<string, string> } } }> => {
      const response = await http.fastify.inject({ url: `/numbers${query}` })
      return { status: response.statusCode, body: response.json() }
    }
    const first = await get('?limit=1000&total=true&state=open')
    expect(first.body.data.page).toMatchObject({ limit: 100, next_cursor: null, prev_cursor: null, total: 50 })
    const one = await get('?limit=20&state=open')
    const two = await get(`?limit=20&state=open&cursor=${one.body.data.page['next_cursor']}`)
    expect(two.body.data.items.map(({ id }) => id)).toEqual(Array.from({ length: 20 }, (_, i) => i + 21))
    const back = await get(`?limit=20&state=open&cursor=${two.body.data.page['prev_cursor']}`)
    expect(back.body.data.items).toEqual(one.body.data.items)
    expect(await get(`?state=closed&cursor=${one.body.data.page['next_cursor']}`)).toMatchObject({
      status: 400,
      body: { error: { code: 'page.cursor_invalid' } },
    })
  })

  it('answers hostile queries with 400', async () => {
    const { http } = await lab([numbers])
    for (const query of [
      'limit=-1',
      'limit=9223372036854775808',
      'limit=1e400',
      'limit=1&limit=2',
      'offset=-1',
      'offset=99999999',
      'sort=password_hash',
      'sort=%00',
      'sort=%ED%A0%80',
      'sort=(select%20pg_sleep(3))',
      'cursor=%00',
      'cursor=forged.AAAAAAAAAAAAAAAAAAAAAA',
      `cursor=${'A'.repeat(9000)}`,
      'total=perhaps',
      'sort[]=x',
      'fields=password_hash',
    ]) {
      const { statusCode } = await http.fastify.inject({ url: `/numbers?${query}` })
      expect(`${query.slice(0, 40)} ${statusCode}`).toMatch(/ 4(00|14|22|31)$/)
    }
  })
})
