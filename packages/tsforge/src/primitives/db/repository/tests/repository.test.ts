import { afterAll, beforeAll, beforeEach, describe, expect, expectTypeOf, it } from 'vitest'
import { systemClock } from '../../../../kernel/clock.ts'
import { createContext, currentContext, runWithContext } from '../../../../kernel/context.ts'
import { defineErrors } from '../../../../kernel/errors.ts'
import { uuidv7 } from '../../../../kernel/ids.ts'
import { testDb } from '../../../../testing/db.ts'
import type { TestDb } from '../../../../testing/db.ts'
import type { Queryable } from '../../driver.ts'
import { column, createRepository, defineTable } from '../index.ts'
import type { Row } from '../index.ts'

const errors = defineErrors({
  'note.slug_taken': { status: 409, message: 'taken' },
  'note.not_found': { status: 404, message: 'no note' },
  'note.parent_unknown': { status: 422, message: 'no parent' },
})

const notes = defineTable({
  name: 'notes',
  columns: {
    slug: column.text(),
    body: column.text({ nullable: true }),
    stars: column.integer({ hasDefault: true }),
    labels: column.other<string[]>('text[]')({ hasDefault: true }),
    extra: column.jsonb<unknown>()({ nullable: true }),
    parent_id: column.uuid({ nullable: true }),
  },
  errors,
  unique: { notes_slug_alive: 'note.slug_taken', notes_parent_id_fkey: 'note.parent_unknown' },
  notFound: 'note.not_found',
})
const links = defineTable({
  name: 'links',
  key: 'code',
  columns: { code: column.text(), hits: column.integer({ hasDefault: true }) },
  audit: false,
  softDelete: false,
  versioned: false,
})

let now = Date.UTC(2026, 0, 1)
const clock = { ...systemClock, now: () => now }

let db: TestDb
let repo: ReturnType<typeof notesOn>
const notesOn = (on: Queryable) => createRepository(notes, on, { clock })

beforeAll(async () => {
  db = await testDb()
  const audit = `created_at timestamptz not null, created_by uuid, updated_at timestamptz not null, updated_by uuid,
    deleted_at timestamptz, deleted_by uuid, version integer not null`
  await db.query(`
    create table notes (id uuid primary key, slug text not null, body text, stars integer not null default 3 check (stars < 100),
      labels text[] not null default '{}', extra jsonb, parent_id uuid references notes, ${audit});
    create unique index notes_slug_alive on notes (slug) where deleted_at is null;
    create table links (code text primary key, hits integer not null default 0)`)
  repo = notesOn(db)
})
beforeEach(async () => {
  await db.query('truncate notes, links')
})
afterAll(() => db[Symbol.asyncDispose]())

const ada = uuidv7()
const bob = uuidv7()
function as<T>(id: string | null, fn: () => T): T {
  const actor = id === null ? ({ kind: 'system', id: null } as const) : ({ kind: 'user', id } as const)
  return runWithContext(createContext({ requestId: 'r', actor }), fn)
}

describe('stamps', () => {
  it('records who created and who changed a row without being told', async () => {
    const made = await as(ada, () => repo.insert({ slug: 'a' }))
    expect(made).toMatchObject({
      created_by: ada,
      updated_by: ada,
      version: 1,
      deleted_at: null,
      stars: 3,
      labels: [],
      created_at: new Date(now),
    })
    now += 1000
    const changed = await as(bob, () => repo.update(made.id, { stars: 4 }))
    expect(changed).toMatchObject({
      created_by: ada,
      updated_by: bob,
      version: 2,
      created_at: made.created_at,
      updated_at: new Date(now),
    })
    const gone = await as(ada, () => repo.softDelete(made.id))
    expect(gone).toMatchObject({ deleted_by: ada, updated_by: ada, deleted_at: new Date(now), version: 3 })
    const back = await as(bob, () => repo.restore(made.id))
    expect(back).toMatchObject({ deleted_by: null, deleted_at: null, updated_by: bob, version: 4 })
  })

  it('stamps nobody for the system and outside of a context', async () => {
    expect(await as(null, () => repo.insert({ slug: 'a' }))).toMatchObject({ created_by: null })
    expect(await repo.insert({ slug: 'b' })).toMatchObject({ created_by: null })
  })

  it('marks the unit of work as one that has written', async () => {
    await as(ada, async () => {
      await repo.findById(uuidv7())
      expect(currentContext()?.wrote).toBe(false)
      await repo.insert({ slug: 'a' })
      expect(currentContext()?.wrote).toBe(true)
    })
  })
})

describe('patches', () => {
  it('tells absent, null and empty apart', async () => {
    const { id } = await repo.insert({ slug: 'a', body: 'text', stars: 7 })
    expect(await repo.update(id, { stars: 8 })).toMatchObject({ body: 'text', stars: 8 })
    expect(await repo.update(id, { body: '' })).toMatchObject({ body: '', stars: 8 })
    expect(await repo.update(id, { body: null })).toMatchObject({ body: null, stars: 8 })
    expect(await repo.update(id, { body: undefined, stars: 0 } as never)).toMatchObject({ body: null, stars: 0 })
  })

  it('changes nothing, not even the version, for an empty patch', async () => {
    const made = await repo.insert({ slug: 'a' })
    expect(await repo.update(made.id, {})).toEqual(made)
    await expect(repo.update(made.id, {}, { version: 9 })).rejects.toMatchObject({ code: 'db.version_conflict' })
    await expect(repo.update(uuidv7(), {})).rejects.toMatchObject({ code: 'note.not_found' })
  })

  it.each(['version', 'created_by', 'deleted_at', 'tenant_id', 'is_admin', '__proto__', 'slug" = null --'])(
    'refuses to write %s',
    async (name) => {
      const { id } = await repo.insert({ slug: 'a' })
      const patch = JSON.parse(`{${JSON.stringify(name)}: "x"}`) as never
      await expect(repo.update(id, patch)).rejects.toMatchObject({ code: 'db.column_unknown', status: 422 })
      await expect(repo.insert({ slug: 'b', ...Object.fromEntries([[name, 'x']]) })).rejects.toMatchObject({
        code: 'db.column_unknown',
      })
    },
  )

  it('refuses to give a row another key', async () => {
    const { id } = await repo.insert({ slug: 'a' })
    await expect(repo.update(id, { id: uuidv7() } as never)).rejects.toMatchObject({ code: 'db.column_unknown' })
  })

  it('keeps documents and arrays as they are', async () => {
    for (const extra of [{ a: [1, { b: null }] }, [1, [2]], 'text', 5, false]) {
      const { id } = await repo.insert({ slug: JSON.stringify(extra), extra, labels: ['a,b', '"', 'null'] })
      expect(await repo.findById(id)).toMatchObject({ extra, labels: ['a,b', '"', 'null'] })
    }
  })

  it('answers faulty values with a fault of the caller, never of the server', async () => {
    for (const values of [
      { slug: 'a\0b' },
      { slug: 'a', stars: 2 ** 40 },
      { slug: 'a', stars: 100 },
      { slug: 'a', parent_id: 'x' },
      { slug: null },
      { slug: 'a', extra: '\0' },
    ]) {
      await expect(repo.insert(values as never)).rejects.toMatchObject({ status: 422 })
    }
    await expect(repo.insert({ slug: 'a', parent_id: uuidv7() })).rejects.toMatchObject({ code: 'note.parent_unknown' })
  })
})

describe('insertMany', () => {
  it('writes any number of rows in one statement and answers in their order', async () => {
    const asked: string[] = []
    const spy = {
      query: (text: string, values?: unknown[]) => (asked.push(text), db.query(text, values)),
    } as Queryable
    const rows = await as(ada, () =>
      notesOn(spy).insertMany(
        Array.from({ length: 50 }, (_, i) => ({
          slug: `s${i}`,
          labels: i % 2 === 0 ? [] : ['x', 'y"z'],
          extra: i % 3 === 0 ? [i, [i]] : null,
          ...(i % 5 === 0 ? { body: 'b' } : {}),
        })),
      ),
    )
    expect(asked).toHaveLength(1)
    expect(rows.map(({ slug }) => slug)).toEqual(Array.from({ length: 50 }, (_, i) => `s${i}`))
    expect(rows[3]).toMatchObject({ extra: [3, [3]], labels: ['x', 'y"z'], body: null, created_by: ada, version: 1 })
    expect(await repo.insertMany([])).toEqual([])
  })

  it('keeps the order of upper case keys that callers bring', async () => {
    const id = uuidv7()
    expect(await repo.insertMany([{ id: id.toUpperCase(), slug: 'a' }])).toMatchObject([{ id, slug: 'a' }])
  })

  it('writes all or none', async () => {
    await expect(repo.insertMany([{ slug: 'a' }, { slug: 'b' }, { slug: 'a' }])).rejects.toMatchObject({
      code: 'note.slug_taken',
    })
    expect(await repo.count()).toBe(0)
  })
})

describe('soft deletion', () => {
  it('hides deleted rows from everything unless asked', async () => {
    const { id } = await repo.insert({ slug: 'a' })
    await repo.softDelete(id)
    expect(await repo.findById(id)).toBeUndefined()
    expect(await repo.findOne({ slug: 'a' })).toBeUndefined()
    expect((await repo.find()).items).toEqual([])
    expect(await repo.count()).toBe(0)
    await expect(repo.update(id, { stars: 1 })).rejects.toMatchObject({ code: 'note.not_found' })
    await expect(repo.softDelete(id)).rejects.toMatchObject({ code: 'note.not_found' })
    expect(await repo.findById(id, { withDeleted: true })).toMatchObject({ slug: 'a' })
    expect((await repo.find({ withDeleted: true })).items).toHaveLength(1)
    expect(await repo.count({}, { withDeleted: true })).toBe(1)
  })

  it('frees unique values, and refuses to restore onto a taken one', async () => {
    const first = await repo.insert({ slug: 'same' })
    await expect(repo.insert({ slug: 'same' })).rejects.toMatchObject({ code: 'note.slug_taken', status: 409 })
    await repo.softDelete(first.id)
    const second = await repo.insert({ slug: 'same' })
    await expect(repo.restore(first.id)).rejects.toMatchObject({ code: 'note.slug_taken' })
    await repo.softDelete(second.id)
    expect(await repo.restore(first.id)).toMatchObject({ slug: 'same', deleted_at: null })
  })

  it('restores only what is deleted', async () => {
    const { id } = await repo.insert({ slug: 'a' })
    await expect(repo.restore(id)).rejects.toMatchObject({ code: 'note.not_found' })
    await expect(repo.restore(id, { version: 1 })).rejects.toMatchObject({ code: 'note.not_found' })
    await repo.softDelete(id)
    await expect(repo.restore(id, { version: 1 })).rejects.toMatchObject({ code: 'db.version_conflict' })
  })

  it('purges what was deleted long ago, and nothing else', async () => {
    const [old, recent, alive] = await repo.insertMany([{ slug: 'old' }, { slug: 'recent' }, { slug: 'alive' }])
    await repo.softDelete(old!.id)
    now += 86_400_000
    await repo.softDelete(recent!.id)
    expect(await repo.purge({ olderThanMs: 3_600_000 })).toBe(1)
    expect((await repo.find({ withDeleted: true })).items.map(({ id }) => id)).toEqual([recent!.id, alive!.id])
    expect(await repo.purge({ olderThanMs: 3_600_000 })).toBe(0)
  })
})

describe('versions', () => {
  it('lets exactly one of 50 concurrent writers win', async () => {
    const { id } = await repo.insert({ slug: 'a' })
    const outcomes = await Promise.allSettled(
      Array.from({ length: 50 }, (_, stars) => repo.update(id, { stars }, { version: 1 })),
    )
    const losers = outcomes.filter((outcome) => outcome.status === 'rejected')
    expect(losers).toHaveLength(49)
    for (const { reason } of losers)
      expect(reason).toMatchObject({ code: 'db.version_conflict', status: 409, meta: { current_version: 2 } })
    expect(await repo.findById(id)).toMatchObject({ version: 2 })
  })

  it('is 412 when the version came from If-Match', async () => {
    const { id } = await repo.insert({ slug: 'a' })
    const seen = { version: [7, 8, 2 ** 31], precondition: true }
    await expect(repo.update(id, { stars: 1 }, seen)).rejects.toMatchObject({
      code: 'precondition.failed',
      status: 412,
    })
    await expect(repo.softDelete(id, seen)).rejects.toMatchObject({ status: 412 })
    await expect(repo.delete(id, seen)).rejects.toMatchObject({ status: 412 })
    expect(await repo.update(id, { stars: 1 }, { version: [9, 1] })).toMatchObject({ version: 2 })
    await expect(repo.update(uuidv7(), { stars: 1 }, seen)).rejects.toMatchObject({ status: 404 })
  })
})

describe('statements', () => {
  it('have one text for one shape, so that prepared statements repeat', async () => {
    const texts = new Set<string>()
    const spy = {
      query: (text: string, values?: unknown[]) => (texts.add(text), db.query(text, values)),
    } as Queryable
    const watched = notesOn(spy)
    for (let round = 0; round < 3; round++) {
      const { id } = await watched.insert(
        round % 2 === 0 ? { slug: `${round}`, body: 'x' } : { body: 'x', slug: `${round}` },
      )
      await watched.update(id, round % 2 === 0 ? { body: 'y', stars: 1 } : { stars: 1, body: 'y' }, {
        version: Array.from({ length: round + 1 }, (_, i) => i + 1),
      })
      await watched.find({ where: { stars: Array.from({ length: round }, (_, i) => i) } })
      await watched.findById(id)
      await watched.softDelete(id)
    }
    expect(texts.size).toBe(5)
  })
})

describe('tables', () => {
  it('may have a key of their own and no managed columns', async () => {
    const repository = createRepository(links, db)
    expect(await repository.insert({ code: 'x' })).toEqual({ code: 'x', hits: 0 })
    expect(await repository.update('x', { hits: 2 })).toEqual({ code: 'x', hits: 2 })
    expect(await repository.delete('x')).toEqual({ code: 'x', hits: 2 })
    await expect(repository.delete('x')).rejects.toMatchObject({ code: 'db.not_found' })
    await expect(repository.softDelete('x')).rejects.toThrow('no soft deletion')
  })

  it('are checked when they are described', () => {
    expect(() => defineTable({ name: 'x; drop', columns: {} })).toThrow('snake_case')
    expect(() => defineTable({ name: 'x', columns: { 'a"b': column.text() } })).toThrow('snake_case')
    expect(() => defineTable({ name: 'x', columns: { tenant_id: column.uuid() } })).toThrow('managed')
    expect(() => defineTable({ name: 'x', columns: {}, key: 'nope' })).toThrow('not a column')
    expect(() => defineTable({ name: 'x', columns: {}, tennant: true } as never)).toThrow('tennant')
    expect(() => defineTable({ name: 'x', columns: {}, notFound: 'nope' as never })).toThrow('catalogue')
    expect(() => column.other('text; drop table x')()).toThrow('SQL type')
  })

  it('give rows, inserts and patches their types', () => {
    expectTypeOf<Row<typeof notes>['body']>().toEqualTypeOf<string | null>()
    expectTypeOf<Row<typeof notes>['version']>().toEqualTypeOf<number>()
    const files = defineTable({ name: 'files', tenant: true, columns: {} })
    expectTypeOf<Row<typeof files>['tenant_id']>().toEqualTypeOf<string>()
    expectTypeOf<Row<typeof links>>().toEqualTypeOf<{ readonly code: string; readonly hits: number }>()
    expectTypeOf(repo.insert).parameter(0).toExtend<{ slug: string; stars?: number }>()
    // @ts-expect-error slug is required
    const noSlug: Parameters<typeof repo.insert>[0] = {}
    // @ts-expect-error not a column of a patch
    const patch: Parameters<typeof repo.update>[1] = { version: 1 }
    expect([noSlug, patch]).toHaveLength(2)
  })

  it('take a text that is no uuid for a key that does not exist', async () => {
    for (const key of ['', 'x', "' or 1=1", 'a\0b', undefined, null, {}, 5]) {
      expect(await repo.findById(key as string)).toBeUndefined()
      await expect(repo.update(key as string, { stars: 1 })).rejects.toMatchObject({ code: 'note.not_found' })
      await expect(repo.delete(key as string)).rejects.toMatchObject({ code: 'note.not_found' })
    }
  })
})
