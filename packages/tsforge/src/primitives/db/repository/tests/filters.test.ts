import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../../../kernel/clock.ts'
import { testDb } from '../../../../testing/db.ts'
import type { TestDb } from '../../../../testing/db.ts'
import type { Queryable } from '../../driver.ts'
import { column, createRepository, defineTable, escapeLike } from '../index.ts'

const notes = defineTable({
  name: 'notes',
  columns: {
    slug: column.text(),
    body: column.text({ nullable: true }),
    stars: column.integer(),
    extra: column.jsonb<unknown>()({ nullable: true }),
  },
})
const now = Date.UTC(2026, 0, 1)

let db: TestDb
let repo: ReturnType<typeof notesOn>
const notesOn = (on: Queryable) => createRepository(notes, on, { clock: { ...systemClock, now: () => now } })

beforeAll(async () => {
  db = await testDb()
  await db.query(`create table notes (id uuid primary key, slug text, body text, stars integer, extra jsonb,
    created_at timestamptz not null, created_by uuid, updated_at timestamptz not null,
    updated_by uuid, deleted_at timestamptz, deleted_by uuid, version integer not null)`)
  repo = notesOn(db)
})
beforeEach(async () => void (await db.query('truncate notes')))
afterAll(() => db[Symbol.asyncDispose]())

describe('filters', () => {
  it('compares, and takes input for what it is', async () => {
    await repo.insertMany([
      { slug: 'a_1', stars: 1, body: null },
      { slug: 'ab1', stars: 2, body: '50% off' },
      { slug: 'B\\2', stars: 3, body: '500 off' },
    ])
    const slugs = async (where: Parameters<typeof repo.count>[0]): Promise<string[]> =>
      (await repo.find({ where: where ?? {}, order: [{ column: 'stars', direction: 'asc' }] })).items.map(
        ({ slug }) => slug,
      )
    expect(await slugs({ slug: 'a_1' })).toEqual(['a_1'])
    expect(await slugs({ body: null })).toEqual(['a_1'])
    expect(await slugs({ body: { not: null } })).toEqual(['ab1', 'B\\2'])
    expect(await slugs({ stars: [1, 3] })).toEqual(['a_1', 'B\\2'])
    expect(await slugs({ stars: [] })).toEqual([])
    expect(await slugs({ stars: { gte: 2, lt: 3 } })).toEqual(['ab1'])
    expect(await slugs({ slug: { startsWith: 'a_' } })).toEqual(['a_1'])
    expect(await slugs({ body: { contains: '0%' } })).toEqual(['ab1'])
    expect(await slugs({ slug: { contains: 'b\\' } })).toEqual(['B\\2'])
    expect(await slugs({ slug: { not: 'a_1' }, created_at: { lte: new Date(now) } })).toEqual(['ab1', 'B\\2'])
    expect(escapeLike('50%_\\')).toBe('50\\%\\_\\\\')
  })

  it.each<Record<string, unknown>>([
    { nonsense: 1 },
    { slug: undefined },
    { slug: {} },
    { slug: { like: 'x' } },
    { slug: { gt: null } },
    { slug: { startsWith: 5 } },
    { slug: { not: undefined } },
    { slug: { not: {} } },
    { extra: 1 },
    { 'slug" is null or "slug': 'x' },
    { slug: { constructor: 'x' } },
  ])('refuses %j', async (where) => {
    await expect(repo.find({ where: where as never })).rejects.toMatchObject({ code: 'db.filter_invalid', status: 400 })
    await expect(repo.count(where as never)).rejects.toMatchObject({ code: 'db.filter_invalid' })
  })

  it('sorts by known columns only', async () => {
    for (const column of ['nonsense', 'slug; drop table notes', 'extra', 'constructor']) {
      await expect(repo.find({ order: [{ column, direction: 'asc' }] })).rejects.toMatchObject({
        code: 'db.filter_invalid',
      })
    }
    await expect(repo.find({ order: [{ column: 'slug', direction: 'asc; --' as never }] })).rejects.toMatchObject({
      code: 'db.filter_invalid',
    })
  })
})
