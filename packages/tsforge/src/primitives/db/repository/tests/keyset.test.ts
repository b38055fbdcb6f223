import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { PagePosition, PageRequest, Slice } from '../../../../kernel/page.ts'
import { testDb } from '../../../../testing/db.ts'
import type { TestDb } from '../../../../testing/db.ts'
import { pageSql, selectPage } from '../../keyset.ts'
import type { KeysetColumn, ListStatement } from '../../keyset.ts'

let db: TestDb
beforeAll(async () => {
  db = await testDb()
  await db.query(
    'create table items (id int primary key, a int, b text, c timestamptz, d double precision not null, e bigint not null)',
  )
})
afterAll(() => db[Symbol.asyncDispose]())

interface Item {
  readonly id: number
}

const columns = { a: 'int', b: 'text', c: 'timestamptz', d: 'double precision', e: 'bigint', id: 'int' } as const
const notNull = ['d', 'e', 'id']

function list(order: readonly Omit<KeysetColumn, 'type'>[]): ListStatement {
  return {
    select: 'id',
    from: 'items',
    where: 'id >= $1',
    values: [0],
    order: order.map((term) => ({
      ...term,
      type: columns[term.expression as keyof typeof columns],
      nullable: !notNull.includes(term.expression),
    })),
    tieBreak: { expression: 'id', type: 'int', direction: 'asc' },
  }
}

const page = (statement: ListStatement, request: Omit<PageRequest, 'order'>): Promise<Slice<Item>> =>
  selectPage<Item>(db, statement, { order: [], ...request })

/** Walks over all pages in one direction. */
async function walk(
  statement: ListStatement,
  limit: number,
  from: PagePosition | undefined,
  side: 'next' | 'previous',
): Promise<number[]> {
  const seen: number[] = []
  let position = from
  for (let pages = 0; pages < 200; pages++) {
    const slice = await page(statement, { limit, position })
    const found = slice.items.map(({ id }) => id)
    if (side === 'next') seen.push(...found)
    else seen.unshift(...found)
    const keys = slice[side]
    if (keys === undefined) return seen
    position = { kind: side === 'next' ? 'after' : 'before', keys }
  }
  throw new Error('the walk does not end')
}

const row = fc.record({
  a: fc.option(fc.integer({ min: 0, max: 3 })),
  b: fc.option(fc.constantFrom('', 'a', 'B', 'ä', '%', 'a b', "'")),
  // Microseconds, which a JavaScript Date would lose.
  c: fc.option(
    fc.constantFrom(
      '2026-01-01 00:00:00.000001+00',
      '2026-01-01 00:00:00.000002+00',
      '2026-06-01 12:00:00+07',
      'infinity',
    ),
  ),
  d: fc.constantFrom('0.1', '0.30000000000000004', '-1e300', 'NaN', 'Infinity'),
  e: fc.constantFrom('9007199254740993', '9007199254740992', '-1'),
})
const term = fc
  .record({
    expression: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'id'),
    direction: fc.constantFrom('asc' as const, 'desc' as const),
    nulls: fc.constantFrom(undefined, 'first' as const, 'last' as const),
  })
  .map(({ nulls, ...rest }) => (nulls === undefined ? rest : { ...rest, nulls }))

describe('keyset pages', () => {
  it('visit every row exactly once, in order, forward and backward, whatever the rows, orders and nulls', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(row, { maxLength: 12 }),
        fc.uniqueArray(term, { maxLength: 3, selector: (t) => t.expression }),
        fc.integer({ min: 1, max: 5 }),
        async (rows, order, limit) => {
          await db.query('truncate items')
          for (const [id, { a, b, c, d, e }] of rows.entries())
            await db.query('insert into items values ($1, $2, $3, $4, $5, $6)', [id, a, b, c, d, e])
          const terms = order.map(
            ({ expression, direction, ...rest }) =>
              `${expression} ${direction}${'nulls' in rest ? ` nulls ${rest.nulls}` : ''}`,
          )
          const tail = order.at(-1)?.direction ?? 'asc'
          const expected = (
            await db.query<Item>(`select id from items order by ${[...terms, `id ${tail}`].join(', ')}`)
          ).rows.map(({ id }) => id)

          const statement = list(order)
          expect(await walk(statement, limit, undefined, 'next')).toEqual(expected)
          // Backward, starting from beyond the last row: its keys, then itself.
          const all = await page(statement, { limit: 50 })
          expect(all.items.map(({ id }) => id)).toEqual(expected)
          const last = await page(statement, {
            limit: 1,
            position: { kind: 'offset', offset: Math.max(0, expected.length - 1) },
          })
          const backward =
            last.previous === undefined
              ? []
              : await walk(statement, limit, { kind: 'before', keys: last.previous }, 'previous')
          expect(backward).toEqual(expected.slice(0, -1))
        },
      ),
      { numRuns: 60 },
    )
  })

  it('go back to where they came from', async () => {
    await db.query('truncate items')
    await db.query(`insert into items select n, n % 3, null, null, 0, 0 from generate_series(1, 7) n`)
    const statement = list([{ expression: 'a', direction: 'desc' }])
    const ids = (slice: Slice<Item>): number[] => slice.items.map(({ id }) => id)
    const first = await page(statement, { limit: 3, total: true })
    expect(first).toMatchObject({ total: 7, previous: undefined })
    const second = await page(statement, { limit: 3, position: { kind: 'after', keys: first.next! } })
    expect(second.total).toBeUndefined()
    const back = await page(statement, { limit: 3, position: { kind: 'before', keys: second.previous! } })
    expect(ids(back)).toEqual(ids(first))
    expect(back.previous).toBeUndefined()
    expect(ids(await page(statement, { limit: 3, position: { kind: 'after', keys: back.next! } }))).toEqual(ids(second))
  })

  it('neither repeat nor skip rows when others come and go', async () => {
    await db.query('truncate items')
    await db.query(`insert into items select n * 10, n, null, null, 0, 0 from generate_series(1, 6) n`)
    const statement = list([{ expression: 'a', direction: 'asc' }])
    const first = await page(statement, { limit: 3 })
    await db.query('delete from items where id in (10, 30)')
    await db.query('insert into items values (5, 0, null, null, 0, 0)')
    const second = await page(statement, { limit: 3, position: { kind: 'after', keys: first.next! } })
    expect(second.items.map(({ id }) => id)).toEqual([40, 50, 60])
  })

  it('keep only the columns of the row', async () => {
    expect(Object.keys((await page(list([]), { limit: 1 })).items[0]!)).toEqual(['id'])
  })

  it('compare whole rows where all columns go one way, which one index serves', async () => {
    const { text } = pageSql(
      list([
        { expression: 'd', direction: 'desc' },
        { expression: 'e', direction: 'desc' },
      ]),
      {
        limit: 10,
        position: { kind: 'after', keys: ['1', '2', '3'] },
      },
    )
    expect(text).toContain('(d, e, id) < ($2::double precision, $3::bigint, $4::int)')
    expect(text).toContain('order by d desc, e desc, id desc limit $5')
  })

  it('refuse cursors of another order', () => {
    expect(() => pageSql(list([]), { limit: 10, position: { kind: 'after', keys: ['1', '2'] } })).toThrow(
      'does not fit',
    )
    expect(() => pageSql(list([]), { limit: 0 })).toThrow(RangeError)
  })
})
