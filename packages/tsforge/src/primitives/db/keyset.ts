import type { CursorKeys, PagePosition, PageRequest, Slice } from '../../kernel/page.ts'
import type { Queryable } from './driver.ts'

/** A column to sort by. `expression` is SQL (a quoted name, never input); `type` is what its text is cast to. */
export interface KeysetColumn {
  readonly expression: string
  readonly type: string
  readonly direction: 'asc' | 'desc'
  readonly nullable?: boolean
  /** Where nulls go. Default PostgreSQL's: last when ascending, first when descending. */
  readonly nulls?: 'first' | 'last'
}

/** A list of rows in parts. `select`, `from` and `where` are SQL of the program, never input. */
export interface ListStatement {
  readonly select: string
  readonly from: string
  /** With placeholders `$1`… for `values`. */
  readonly where?: string | undefined
  readonly values?: readonly unknown[]
  readonly order: readonly KeysetColumn[]
  /** Unique and not null; ends the order, so that it is total. */
  readonly tieBreak: KeysetColumn
}

/** SQL of one page. The keys of each row come along as `page_keys`, a `text[]`. */
export interface PageSql {
  readonly text: string
  readonly values: unknown[]
}

/**
 * Reads one page. Keyset positions compare all sort columns at once, so that rows inserted or deleted
 * meanwhile neither repeat nor hide others, and an index on the order answers any page in the same time.
 */
export async function selectPage<Row>(db: Queryable, list: ListStatement, request: PageRequest): Promise<Slice<Row>> {
  const { text, values } = pageSql(list, request)
  const [found, total] = await Promise.all([
    db.query<Row & { page_keys: (string | null)[] }>(text, values),
    request.total === true ? countRows(db, list) : undefined,
  ])
  return sliceOf<Row>(found.rows, request, total)
}

async function countRows(db: Queryable, { from, where, values = [] }: ListStatement): Promise<number> {
  const { rows } = await db.query<{ count: string }>(
    `select count(*) from ${from}${where === undefined ? '' : ` where ${where}`}`,
    [...values],
  )
  return Number(rows[0]?.count ?? 0)
}

/** The statement of a page; one row more than `limit` tells whether another page follows. */
export function pageSql(list: ListStatement, { limit, position }: Pick<PageRequest, 'limit' | 'position'>): PageSql {
  if (!Number.isSafeInteger(limit) || limit < 1) throw new RangeError('a page needs a limit of at least 1')
  const backward = position?.kind === 'before'
  const terms = completeOrder(list).map((term) => scanned(term, backward))
  const values = [...(list.values ?? [])]
  const bind = (value: unknown): string => `$${values.push(value)}`

  const conditions = list.where === undefined ? [] : [`(${list.where})`]
  if (position !== undefined && position.kind !== 'offset') conditions.push(beyond(terms, position.keys, bind))
  const order = terms.map(({ expression, ascending, nullable, nullsFirst }) => {
    const nulls = nullable && nullsFirst === ascending ? ` nulls ${nullsFirst ? 'first' : 'last'}` : ''
    return `${expression}${ascending ? '' : ' desc'}${nulls}`
  })
  const keys = terms.map(({ expression }) => `${expression}::text`)
  return {
    text:
      `select ${list.select}, array[${keys.join(', ')}] as page_keys from ${list.from}` +
      (conditions.length === 0 ? '' : ` where ${conditions.join(' and ')}`) +
      ` order by ${order.join(', ')} limit ${bind(limit + 1)}` +
      (position?.kind === 'offset' ? ` offset ${bind(position.offset)}` : ''),
    values,
  }
}

/** Cuts the surplus row, restores the order and finds the neighbours. */
export function sliceOf<Row>(
  rows: readonly (Row & { readonly page_keys: CursorKeys })[],
  request: Pick<PageRequest, 'limit' | 'position'>,
  total?: number,
): Slice<Row> {
  const { limit, position } = request
  const more = rows.length > limit
  const page = more ? rows.slice(0, limit) : [...rows]
  const backward = position?.kind === 'before'
  if (backward) page.reverse()
  const first = page[0]?.page_keys
  const last = page.at(-1)?.page_keys
  return {
    items: page.map(withoutKeys) as Row[],
    // Whoever came from the other side knows that there is something.
    next: backward ? (last ?? keysOf(position)) : more ? last : undefined,
    previous: backward ? (more ? first : undefined) : startsWithin(position) ? (first ?? keysOf(position)) : undefined,
    total,
  }
}

function withoutKeys(given: { readonly page_keys?: CursorKeys }): object {
  const { page_keys: _keys, ...row } = given
  return row
}

function keysOf(position: PagePosition | undefined): CursorKeys | undefined {
  return position === undefined || position.kind === 'offset' ? undefined : position.keys
}

function startsWithin(position: PagePosition | undefined): boolean {
  return position !== undefined && (position.kind === 'offset' ? position.offset > 0 : true)
}

function completeOrder({ order, tieBreak }: ListStatement): KeysetColumn[] {
  const terms: KeysetColumn[] = []
  for (const term of order) {
    if (terms.some(({ expression }) => expression === term.expression)) continue
    terms.push(term)
    // Nothing behind a unique column can matter.
    if (term.expression === tieBreak.expression) return terms
  }
  const { direction } = terms.at(-1) ?? tieBreak
  return [...terms, { ...tieBreak, direction }]
}

/** A term in the direction in which this page is read. */
interface Scan {
  readonly expression: string
  readonly type: string
  readonly nullable: boolean
  readonly ascending: boolean
  readonly nullsFirst: boolean
}

function scanned({ expression, type, direction, nullable = false, nulls }: KeysetColumn, backward: boolean): Scan {
  const ascending = direction === 'asc'
  const nullsFirst = nulls === undefined ? !ascending : nulls === 'first'
  return { expression, type, nullable, ascending: ascending !== backward, nullsFirst: nullsFirst !== backward }
}

/** The condition "behind the row with these keys". */
function beyond(terms: readonly Scan[], keys: CursorKeys, bind: (value: unknown) => string): string {
  if (keys.length !== terms.length)
    throw new RangeError(`a cursor of ${keys.length} keys does not fit an order of ${terms.length} columns`)
  const marks = terms.map(({ type }, index) => (keys[index] === null ? undefined : `${bind(keys[index])}::${type}`))
  const first = terms[0] as Scan
  if (terms.every(({ nullable, ascending }) => !nullable && ascending === first.ascending)) {
    return `(${terms.map(({ expression }) => expression).join(', ')}) ${first.ascending ? '>' : '<'} (${marks.join(', ')})`
  }
  const ways: string[] = []
  const equal: string[] = []
  terms.forEach((term, index) => {
    const mark = marks[index]
    const behind = behindOne(term, mark)
    if (behind !== undefined) ways.push([...equal, behind].join(' and '))
    equal.push(mark === undefined ? `${term.expression} is null` : `${term.expression} = ${mark}`)
  })
  const any = `(${ways.map((way) => `(${way})`).join(' or ')})`
  // The alternatives alone would not let an index on the first column skip what lies before.
  return first.nullable || marks[0] === undefined
    ? any
    : `${first.expression} ${first.ascending ? '>=' : '<='} ${marks[0]} and ${any}`
}

function behindOne(
  { expression, nullable, ascending, nullsFirst }: Scan,
  mark: string | undefined,
): string | undefined {
  if (mark === undefined) return nullsFirst ? `${expression} is not null` : undefined
  const past = `${expression} ${ascending ? '>' : '<'} ${mark}`
  return nullable && !nullsFirst ? `(${past} or ${expression} is null)` : past
}
