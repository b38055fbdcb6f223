import { sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import type { NodePgDatabase } from 'drizzle-orm/node-postgres'
import { drizzle as drizzleOverPglite } from 'drizzle-orm/pglite'
import { integer, pgTable, text, uuid } from 'drizzle-orm/pg-core'
import type { PGlite } from '@electric-sql/pglite'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { defineErrors } from '../../../../kernel/errors.ts'
import { createDb } from '../../db.ts'
import type { Db } from '../../db.ts'
import { postgres } from '../../drivers/postgres.ts'
import { fromDrizzle } from '../../drizzle.ts'
import type { DrizzlePg } from '../../drizzle.ts'
import { scratchDatabase } from '../../migrate/tests/scratch-database.ts'
import type { ScratchDatabase } from '../../migrate/tests/scratch-database.ts'
import { column, createRepository, defineTable } from '../index.ts'

const orders = pgTable('orders', {
  id: uuid('id').primaryKey(),
  amount: integer('amount').notNull(),
  note: text('note'),
})
const table = defineTable({
  name: 'notes',
  columns: { title: column.text() },
  errors: defineErrors({ 'note.title_taken': { status: 409, message: 'taken' } }),
  unique: { notes_title: 'note.title_taken' },
})

let database: ScratchDatabase
let db: Db
let orm: NodePgDatabase<{ orders: typeof orders }>
beforeAll(async () => {
  database = await scratchDatabase()
  db = createDb(postgres({ pool: database.pool }))
  orm = drizzle(database.pool, { schema: { orders } })
  await db.query(`
    create table orders (id uuid primary key, amount integer not null, note text);
    create table notes (id uuid primary key, title text not null constraint notes_title unique,
      created_at timestamptz not null, created_by uuid, updated_at timestamptz not null, updated_by uuid,
      deleted_at timestamptz, deleted_by uuid, version integer not null)`)
})
beforeEach(async () => void (await db.query('truncate orders, notes')))
afterAll(async () => {
  await db.close()
  await database.drop()
})

const id = (n: number): string => `00000000-0000-7000-8000-00000000000${n}`
const counts = async (): Promise<unknown> =>
  (await db.query('select (select count(*) from orders) orders, (select count(*) from notes) notes')).rows[0]

describe('a transaction of drizzle', () => {
  it('commits its own rows and those of the framework together', async () => {
    const repository = createRepository(table, db)
    const made = await orm.transaction(async (trx) => {
      await trx.insert(orders).values({ id: id(1), amount: 5 })
      const note = await repository.insert({ title: 'paid' }, fromDrizzle(trx))
      expect(await counts()).toEqual({ orders: 0, notes: 0 })
      await expect(repository.update(note.id, { title: 'x' }, { version: 9 }, fromDrizzle(trx))).rejects.toMatchObject({
        code: 'db.version_conflict',
      })
      return repository.update(note.id, { title: 'paid in full' }, { version: 1 }, fromDrizzle(trx))
    })
    expect(made).toMatchObject({ title: 'paid in full', version: 2 })
    expect(made.created_at).toBeInstanceOf(Date)
    expect(await counts()).toEqual({ orders: 1, notes: 1 })
  })

  it('rolls back the rows of the framework with its own, and its own with those of the framework', async () => {
    const repository = createRepository(table, db)
    const undone = orm.transaction(async (trx) => {
      await repository.insert({ title: 'lost' }, fromDrizzle(trx))
      await trx.insert(orders).values({ id: id(1), amount: 5 })
      trx.rollback()
    })
    await expect(undone).rejects.toThrow('Rollback')
    const refused = orm.transaction(async (trx) => {
      await trx.insert(orders).values({ id: id(2), amount: 5 })
      await repository.insert({ title: 'one' }, fromDrizzle(trx))
      await repository.insert({ title: 'one' }, fromDrizzle(trx))
    })
    await expect(refused).rejects.toMatchObject({ code: 'note.title_taken', status: 409 })
    expect(await counts()).toEqual({ orders: 0, notes: 0 })
  })

  it('undoes a nested transaction alone', async () => {
    const repository = createRepository(table, db)
    await orm.transaction(async (trx) => {
      await repository.insert({ title: 'kept' }, fromDrizzle(trx))
      const inner = trx.transaction(async (nested) => {
        await nested.insert(orders).values({ id: id(1), amount: 5 })
        await repository.insert({ title: 'kept' }, fromDrizzle(nested))
      })
      await expect(inner).rejects.toMatchObject({ code: 'note.title_taken' })
      await trx.transaction((nested) => nested.insert(orders).values({ id: id(2), amount: 6 }))
    })
    expect(await counts()).toEqual({ orders: 1, notes: 1 })
  })

  it('takes values, and answers rows and counts, as a bare client of pg does', async () => {
    const at = new Date('2026-01-02T03:04:05.678Z')
    const statements: [string, unknown[]?][] = [
      [
        `select $1::timestamptz at, $2::jsonb data, $3::bytea bytes, $4::int[] list, $5::text nothing, $6::bool yes,
          count(*) n, $7::numeric exact, $8::uuid id, now()::date today from generate_series(1, 3)`,
        [at, { a: [1] }, Buffer.from('x'), [1, 2], null, true, '1.10', id(1)],
      ],
      ['insert into orders select gen_random_uuid(), n from generate_series(1, 4) n'],
      ['update orders set amount = amount + $1 where amount > $2', [1, 2]],
      ['delete from orders where amount = $1 returning amount', [1]],
      ['select amount from orders order by amount'],
    ]
    const answers = (
      run: (text: string, values?: unknown[]) => Promise<{ rows: unknown[]; rowCount: number | null }>,
    ) =>
      statements.reduce<Promise<unknown[]>>(async (before, [text, values]) => {
        const all = await before
        const { rows, rowCount } = await run(text, values)
        return [...all, { rows, rowCount }]
      }, Promise.resolve([]))
    const bare = await answers((text, values) => database.pool.query(text, values))
    await db.query('truncate orders')
    const ours = await orm.transaction((trx) => answers((text, values) => fromDrizzle(trx).query(text, values)))
    expect(ours).toEqual(bare)
    expect(ours.map((answer) => (answer as { rowCount: number }).rowCount)).toEqual([1, 4, 2, 1, 3])
    expect((ours[0] as { rows: { at: Date }[] }).rows[0]?.at).toEqual(at)
  })

  it('is the session of the transaction, isolation included', async () => {
    await orm.transaction(
      async (trx) => {
        const [own] = (await trx.execute<{ pid: number }>(sql`select pg_backend_pid() pid`)).rows
        const text = `select pg_backend_pid() pid, current_setting('transaction_isolation') level`
        expect((await fromDrizzle(trx).query(text)).rows).toEqual([{ pid: own?.pid, level: 'serializable' }])
      },
      { isolationLevel: 'serializable' },
    )
  })
})

describe('fromDrizzle', () => {
  it('takes a database outside a transaction', async () => {
    await createRepository(table, db).insert({ title: 'a' }, fromDrizzle(orm))
    expect(await counts()).toEqual({ orders: 0, notes: 1 })
  })

  it('refuses another driver of drizzle, in words', () => {
    const lite = { query: () => Promise.resolve({ rows: [], affectedRows: 0 }) } as unknown as PGlite
    // @ts-expect-error the type says so too
    const other: DrizzlePg = drizzleOverPglite({ client: lite })
    expect(() => fromDrizzle(other)).toThrow('drizzle-orm/node-postgres')
  })
})
