import { Kysely, PostgresDialect, sql } from 'kysely'
import type { Generated } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createContext, runWithContext } from '../../../../kernel/context.ts'
import { createDb } from '../../db.ts'
import type { Db } from '../../db.ts'
import { postgres } from '../../drivers/postgres.ts'
import { fromKysely, kyselyDialect } from '../../kysely.ts'
import { scratchDatabase } from '../../migrate/tests/scratch-database.ts'
import type { ScratchDatabase } from '../../migrate/tests/scratch-database.ts'
import { column, createRepository, defineTable } from '../index.ts'

interface Tables {
  notes: { id: string; title: string; version: Generated<number> }
}
const table = defineTable({ name: 'notes', columns: { title: column.text() }, audit: false, softDelete: false })

let database: ScratchDatabase
let db: Db
let kysely: Kysely<Tables>
beforeAll(async () => {
  database = await scratchDatabase()
  db = createDb(postgres({ url: database.url, max: 3 }))
  kysely = new Kysely<Tables>({ dialect: kyselyDialect(db) })
  await db.query('create table notes (id uuid primary key, title text not null, version integer not null default 1)')
})
beforeEach(async () => void (await db.query('truncate notes')))
afterAll(async () => {
  await kysely.destroy()
  await db.close()
  await database.drop()
})

const titles = async (): Promise<string[]> =>
  (await db.query<{ title: string }>('select title from notes order by title')).rows.map(({ title }) => title)
const id = (n: number): string => `00000000-0000-7000-8000-00000000000${n}`

describe('kysely over our connections', () => {
  it('reads, writes and counts what it wrote', async () => {
    await kysely
      .insertInto('notes')
      .values([
        { id: id(1), title: 'a' },
        { id: id(2), title: 'b' },
      ])
      .execute()
    const { numUpdatedRows } = await kysely
      .updateTable('notes')
      .set({ title: 'c' })
      .where('id', '=', id(2))
      .executeTakeFirstOrThrow()
    expect(numUpdatedRows).toBe(1n)
    expect(await kysely.selectFrom('notes').select('title').orderBy('title').execute()).toEqual([
      { title: 'a' },
      { title: 'c' },
    ])
  })

  it('rolls back, isolates and uses savepoints', async () => {
    await expect(
      kysely.transaction().execute(async (trx) => {
        await trx
          .insertInto('notes')
          .values({ id: id(1), title: 'lost' })
          .execute()
        throw new Error('no')
      }),
    ).rejects.toThrow('no')
    const level = await kysely
      .transaction()
      .setIsolationLevel('serializable')
      .execute((trx) => sql<{ l: string }>`select current_setting('transaction_isolation') l`.execute(trx))
    expect(level.rows).toEqual([{ l: 'serializable' }])
    const trx = await kysely.startTransaction().execute()
    await trx
      .insertInto('notes')
      .values({ id: id(1), title: 'kept' })
      .execute()
    const inner = await trx.savepoint('before').execute()
    await inner
      .insertInto('notes')
      .values({ id: id(2), title: 'undone' })
      .execute()
    await inner.rollbackToSavepoint('before').execute()
    await trx.commit().execute()
    expect(await titles()).toEqual(['kept'])
  })

  it('refuses to call a failed transaction committed', async () => {
    await expect(
      kysely.transaction().execute(async (trx) => {
        await sql`select 1 / 0`.execute(trx).catch(() => undefined)
      }),
    ).rejects.toThrow()
  })

  it('keeps one session for `connection()`, and gives all of them back', async () => {
    const seen = await kysely.connection().execute(async (one) => {
      const pids = await Promise.all(
        [1, 2, 3].map(() => sql<{ pid: number }>`select pg_backend_pid() pid`.execute(one)),
      )
      return new Set(pids.map(({ rows }) => rows[0]?.pid)).size
    })
    expect(seen).toBe(1)
    await Promise.all(Array.from({ length: 20 }, () => kysely.selectFrom('notes').selectAll().execute()))
  })

  it('marks the unit of work as one that has written', async () => {
    const context = createContext({ requestId: 'r' })
    await runWithContext(context, async () => {
      await kysely.selectFrom('notes').selectAll().execute()
      expect(context.wrote).toBe(false)
      await kysely
        .insertInto('notes')
        .values({ id: id(1), title: 'a' })
        .execute()
      expect(context.wrote).toBe(true)
    })
  })
})

describe.each(['ours', 'its own'])('a kysely transaction of %s dialect', (whose) => {
  it('carries the statements of a repository', async () => {
    // Kysely's own dialect ends its pool when destroyed; the pool belongs to the scratch database.
    const other =
      whose === 'ours' ? kysely : new Kysely<Tables>({ dialect: new PostgresDialect({ pool: database.pool }) })
    const repo = createRepository(table, db)
    const made = await other.transaction().execute(async (trx) => {
      const tx = fromKysely(trx)
      const row = await repo.insert({ title: 'a' }, tx)
      expect(await repo.findById(row.id)).toBeUndefined()
      await repo.update(row.id, { title: 'b' }, { version: 1 }, tx)
      await expect(repo.delete(row.id, { version: 1 }, tx)).rejects.toMatchObject({ code: 'db.version_conflict' })
      return row
    })
    expect(await repo.findById(made.id)).toMatchObject({ title: 'b', version: 2 })
    const undone = other.transaction().execute(async (trx) => {
      await repo.delete(made.id, {}, fromKysely(trx))
      throw new Error('undo')
    })
    await expect(undone).rejects.toThrow('undo')
    expect(await titles()).toEqual(['b'])
  })
})
