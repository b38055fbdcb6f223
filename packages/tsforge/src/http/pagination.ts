import { isDeepStrictEqual } from 'node:util'
import type { TArray, TBoolean, TInteger, TObject, TOptional, TSchema, TString, TUnsafe } from 'typebox'
import { currentContext } from '../kernel/context.ts'
import type { OrderTerm, PageRequest, Slice } from '../kernel/page.ts'
import type { Cursors } from './cursors.ts'
import { pageErrors } from './page-errors.ts'
import { nullable, Type } from './schema.ts'

/** How one list may be paged. Made by `definePage`. */
export interface PageSpec {
  /** Names the list in its cursors, e.g. `notes`. */
  readonly name: string
  /** Columns that callers may sort by; never one that they may not see. */
  readonly sort: readonly string[]
  /** As in the query: `-created_at,title`. */
  readonly defaultSort: string
  readonly defaultLimit: number
  readonly maxLimit: number
  readonly maxOffset: number
}

/** A page as it was asked for; spreads into `repository.find`. */
export interface Page extends PageRequest {
  /** Seals the place of a row for this list, order, filters and tenant. */
  readonly cursor: (kind: 'after' | 'before', keys: readonly (string | null)[]) => string
}

/** Query parameters of a list; spread into the route's schema: `Type.Object({ ...pageQuery, state: … })`. */
export const pageQuery: {
  readonly limit: TOptional<TInteger>
  readonly cursor: TOptional<TString>
  readonly offset: TOptional<TInteger>
  readonly sort: TOptional<TString>
  readonly total: TOptional<TBoolean>
} = {
  limit: Type.Optional(
    Type.Integer({ minimum: 1, description: 'Items on a page; more than the cap of the list counts as the cap.' }),
  ),
  cursor: Type.Optional(
    Type.String({ maxLength: 8192, description: 'next_cursor or prev_cursor of another page of the same list.' }),
  ),
  offset: Type.Optional(Type.Integer({ minimum: 0, description: 'Items to skip, instead of a cursor.' })),
  sort: Type.Optional(
    Type.String({ maxLength: 200, description: 'Fields, comma-separated; a leading - means descending.' }),
  ),
  total: Type.Optional(Type.Boolean({ description: 'Also count all items.' })),
}
const ownParameters: readonly string[] = Object.keys(pageQuery)

/** The errors of `parsePage` that a query which fits `pageQuery` can still meet. */
const routeErrors = ['page.sort_invalid', 'page.cursor_invalid', 'page.offset_invalid', 'page.position_ambiguous']

/** The errors that come with a query schema: those of pages when `pageQuery` was spread into it. */
export function pageErrorsOf(query: Readonly<Record<string, unknown>> | undefined): readonly string[] {
  const properties = query?.['properties'] as Readonly<Record<string, unknown>> | undefined
  // By content: builders may copy what is spread.
  return isDeepStrictEqual({ ...(properties?.['cursor'] as object | undefined) }, { ...pageQuery.cursor })
    ? routeErrors
    : []
}

/** What `pageQuery` lets through. */
export interface PageQuery {
  readonly limit?: number
  readonly cursor?: string
  readonly offset?: number
  readonly sort?: string
  readonly total?: boolean
}

/** Describes a list. Default 20 items, at most 100, offsets up to 10,000. */
export function definePage(spec: Partial<PageSpec> & Pick<PageSpec, 'name' | 'sort'>): PageSpec {
  const made: PageSpec = {
    defaultSort: spec.sort[0] ?? '',
    defaultLimit: 20,
    maxLimit: 100,
    maxOffset: 10_000,
    ...spec,
  }
  if (made.defaultSort !== '') parseSort(made.defaultSort, made)
  if (made.defaultLimit > made.maxLimit)
    throw new TypeError(`list ${made.name}: the default limit is above the highest`)
  return made
}

/**
 * Reads the page parameters of a query. Everything else in `query` counts as a filter and is bound into the
 * cursors, with the tenant of the context; `scope` adds what else chooses the rows (path parameters).
 * Throws `page.*` (400).
 */
export function parsePage(
  query: PageQuery,
  spec: PageSpec,
  cursors: Cursors,
  scope?: Readonly<Record<string, unknown>>,
): Page {
  const sort = optional(query.sort, 'string', 'page.sort_invalid') ?? spec.defaultSort
  const order = sort === '' ? [] : parseSort(sort, spec)
  const tenantId = currentContext()?.tenantId ?? null
  let made: string | undefined
  const binding = (): string => {
    const filters = Object.entries(query).filter(([name]) => !ownParameters.includes(name))
    return (made ??= cursors.bind([spec.name, tenantId, order, Object.fromEntries(filters), scope ?? null]))
  }
  const limit = Math.min(wholeNumber(query.limit, 1, 'page.limit_invalid') ?? spec.defaultLimit, spec.maxLimit)
  const offset = wholeNumber(query.offset, 0, 'page.offset_invalid')
  const cursor = optional(query.cursor, 'string', 'page.cursor_invalid')
  if (offset !== undefined && cursor !== undefined) throw pageErrors.error('page.position_ambiguous')
  if (offset !== undefined && offset > spec.maxOffset)
    throw pageErrors.error('page.offset_invalid', { meta: { max: spec.maxOffset } })
  const total = (query.total as unknown) === true || (query.total as unknown) === 'true'
  return {
    limit,
    order,
    total,
    position:
      offset !== undefined
        ? { kind: 'offset', offset }
        : cursor === undefined
          ? undefined
          : cursors.open(cursor, binding()),
    cursor: (kind, keys) => cursors.seal(kind, keys, binding()),
  }
}

/** A list on the wire. */
export interface PageBody<T> {
  readonly items: T[]
  readonly page: {
    /** The limit that was applied. */
    readonly limit: number
    /** `null` on the last page. */
    readonly next_cursor: string | null
    /** `null` on the first page. */
    readonly prev_cursor: string | null
    /** Present when asked for. */
    readonly total?: number
  }
}

/** Makes the wire shape of what `find` or `selectPage` answered. `show` turns a row into what callers see. */
export function pageOf<Row>(slice: Slice<Row>, page: Page): PageBody<Row>
export function pageOf<Row, T>(slice: Slice<Row>, page: Page, show: (row: Row) => T): PageBody<T>
export function pageOf<Row, T>(slice: Slice<Row>, page: Page, show?: (row: Row) => T): PageBody<Row | T> {
  const { items, next, previous, total } = slice
  return {
    items: show === undefined ? items : items.map(show),
    page: {
      limit: page.limit,
      next_cursor: next === undefined ? null : page.cursor('after', next),
      prev_cursor: previous === undefined ? null : page.cursor('before', previous),
      ...(total === undefined ? {} : { total }),
    },
  }
}

type NullableText = TUnsafe<string | null>

/** Schema of `PageBody` for a route's `data`. */
export function pageSchema<Item extends TSchema>(
  item: Item,
): TObject<{
  items: TArray<Item>
  page: TObject<{ limit: TInteger; next_cursor: NullableText; prev_cursor: NullableText; total: TOptional<TInteger> }>
}> {
  const cursor = (description: string): NullableText => nullable(Type.String({ description }))
  return Type.Object({
    items: Type.Array(item),
    page: Type.Object({
      limit: Type.Integer({ description: 'The limit that was applied.' }),
      next_cursor: cursor('Cursor of the next page; null on the last.'),
      prev_cursor: cursor('Cursor of the page before; null on the first.'),
      total: Type.Optional(Type.Integer({ description: 'Number of all items, when asked for.' })),
    }),
  })
}

function parseSort(sort: string, spec: PageSpec): OrderTerm[] {
  const invalid = (): Error => pageErrors.error('page.sort_invalid', { meta: { allowed: spec.sort } })
  if (sort.length > 200) throw invalid()
  const order = sort.split(',').map((term): OrderTerm => {
    const descending = term.startsWith('-')
    const column = descending ? term.slice(1) : term
    if (!spec.sort.includes(column)) throw invalid()
    return { column, direction: descending ? 'desc' : 'asc' }
  })
  if (order.length > 3 || new Set(order.map(({ column }) => column)).size < order.length) throw invalid()
  return order
}

// Values come through the route's schema; the checks stand for those who call without one.
function wholeNumber(
  value: unknown,
  least: number,
  code: 'page.limit_invalid' | 'page.offset_invalid',
): number | undefined {
  if (value === undefined) return undefined
  const number = typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value
  if (typeof number !== 'number' || !Number.isSafeInteger(number) || number < least) throw pageErrors.error(code)
  return number
}

function optional(
  value: unknown,
  type: 'string',
  code: 'page.sort_invalid' | 'page.cursor_invalid',
): string | undefined {
  // `?sort=` is a parameter left empty, not an order.
  if (value === undefined || value === '') return undefined
  if (typeof value !== type) throw pageErrors.error(code)
  return value as string
}
