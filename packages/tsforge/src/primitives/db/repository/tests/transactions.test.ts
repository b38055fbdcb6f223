import type pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { defineErrors } from '../../../../kernel/errors.ts'
import { createDb } from '../../db.ts'
import type { Queryable } from '../../driver.ts'
import { postgres } from '../../drivers/postgres.ts'
import { scratchDatabase } from '../../migrate/tests/scratch-database.ts'
import type { ScratchDatabase } from '../../migrate/tests/scratch-database.ts'
import { column, createRepository, defineTable } from '../index.ts'

const notes = defineTable({
  name: 'notes',
  columns: { slug: column.text(), stars: column.integer({ hasDefault: true }) },
  errors: defineErrors({ 'note.slug_taken': { status: 409, message: 'taken' } }),
  unique: { notes_slug_alive: 'note.slug_taken' },
})

let database: ScratchDatabase
let pool: pg.Pool
let repo: ReturnType<typeof notesOn>
const notesOn = (on: Queryable) => createRepository(notes, on)

beforeAll(async () => {
  database = await scratchDatabase()
  pool = database.pool
  await pool.query(`create table notes (id uuid primary key, slug text not null, stars integer not null default 3,
    created_at timestamptz not null, created_by uuid, updated_at timestamptz not null, updated_by uuid,
    deleted_at timestamptz, deleted_by uuid, version integer not null);
    create unique index notes_slug_alive on notes (slug) where deleted_at is null`)
  repo = notesOn(pool)
})
beforeEach(async () => void (await pool.query('truncate notes')))
afterAll(() => database.drop())

describe('transactions of others', () => {
  it('takes part in a bare pg transaction', async () => {
    const client = await pool.connect()
    await client.query('begin')
    const { id } = await repo.insert({ slug: 'a' }, client)
    await repo.update(id, { stars: 5 }, {}, client)
    expect(await repo.findById(id, {}, client)).toMatchObject({ stars: 5 })
    expect(await repo.findById(id)).toBeUndefined()
    await client.query('rollback')
    client.release()
    expect(await repo.findById(id)).toBeUndefined()
  })

  it('is undone with our transaction or with its savepoint alone', async () => {
    const db = createDb(postgres({ url: database.url, max: 2 }))
    const ours = notesOn(db)
    const kept = await db.tx(async (tx) => {
      const row = await ours.insert({ slug: 'kept' }, tx)
      // A violated constraint spoils a transaction; inside a savepoint it does not.
      const again = tx.savepoint((inner) => ours.insert({ slug: 'kept' }, inner))
      await expect(again).rejects.toMatchObject({ code: 'note.slug_taken' })
      return ours.update(row.id, { stars: 9 }, {}, tx)
    })
    const undone = db.tx(async (tx) => {
      await ours.delete(kept.id, {}, tx)
      throw new Error('undo')
    })
    await expect(undone).rejects.toThrow('undo')
    expect(await ours.findById(kept.id)).toMatchObject({ stars: 9, version: 2 })
    await db.close()
  })

  it('leaves what asks for another attempt recognizable', async () => {
    const failing = {
      query: () => Promise.reject(Object.assign(new Error('x'), { code: '40001', severity: 'ERROR' })),
    } as Queryable
    await expect(repo.insert({ slug: 'a' }, failing)).rejects.toMatchObject({ code: '40001' })
  })
})

describe('prepared statements', () => {
  it('outlive a column added behind their back', async () => {
    const client = await pool.connect()
    const named = {
      query: (text: string, values?: unknown[]) =>
        client.query({ text, values: values ?? [], name: `n${text.length}` }),
    } as unknown as Queryable
    const { id } = await repo.insert({ slug: 'a' })
    await notesOn(named).findById(id)
    await pool.query('alter table notes add column later text')
    expect(await notesOn(named).findById(id)).not.toHaveProperty('later')
    await pool.query('alter table notes drop column later')
    client.release()
  })
})
