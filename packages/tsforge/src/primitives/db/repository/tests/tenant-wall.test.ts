import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../../../kernel/clock.ts'
import { createContext, runWithContext } from '../../../../kernel/context.ts'
import { uuidv7 } from '../../../../kernel/ids.ts'
import { testDb } from '../../../../testing/db.ts'
import type { TestDb } from '../../../../testing/db.ts'
import type { Queryable } from '../../driver.ts'
import { column, createRepository, defineTable } from '../index.ts'

const files = defineTable({ name: 'files', tenant: true, columns: { name: column.text() } })
let now = Date.UTC(2026, 0, 1)

let db: TestDb
let repository: ReturnType<typeof filesOn>
const filesOn = (on: Queryable) => createRepository(files, on, { clock: { ...systemClock, now: () => now } })

beforeAll(async () => {
  db = await testDb()
  await db.query(`create table files (id uuid primary key, tenant_id uuid not null, name text not null,
    created_at timestamptz not null, created_by uuid, updated_at timestamptz not null,
    updated_by uuid, deleted_at timestamptz, deleted_by uuid, version integer not null)`)
  repository = filesOn(db)
})
beforeEach(async () => void (await db.query('truncate files')))
afterAll(() => db[Symbol.asyncDispose]())

const ada = uuidv7()
function as<T>(id: string, fn: () => T, tenantId: string | null): T {
  return runWithContext(createContext({ requestId: 'r', actor: { kind: 'user', id }, tenantId }), fn)
}

describe('the tenant wall', () => {
  const mine = uuidv7()
  const theirs = uuidv7()
  const within = <T>(tenantId: string | null, fn: () => T): T => as(ada, fn, tenantId)

  it('takes a row of another tenant for a missing one, whatever is asked', async () => {
    const row = await within(mine, () => repository.insert({ name: 'plan' }))
    expect(row.tenant_id).toBe(mine)
    await within(theirs, async () => {
      const missing = { code: 'db.not_found', status: 404 }
      expect(await repository.findById(row.id)).toBeUndefined()
      expect(await repository.findOne({ name: 'plan' })).toBeUndefined()
      expect(await repository.findOne({ tenant_id: mine })).toBeUndefined()
      expect(await repository.find({ total: true })).toMatchObject({ items: [], total: 0 })
      expect(await repository.count()).toBe(0)
      await expect(repository.findByIdOrThrow(row.id)).rejects.toMatchObject(missing)
      await expect(repository.update(row.id, { name: 'x' })).rejects.toMatchObject(missing)
      await expect(repository.update(row.id, { name: 'x' }, { version: 1 })).rejects.toMatchObject(missing)
      await expect(repository.update(row.id, {})).rejects.toMatchObject(missing)
      await expect(repository.softDelete(row.id)).rejects.toMatchObject(missing)
      await expect(repository.delete(row.id)).rejects.toMatchObject(missing)
      await expect(repository.insert({ name: 'x', tenant_id: mine } as never)).rejects.toMatchObject({
        code: 'db.column_unknown',
      })
    })
    await within(mine, () => repository.softDelete(row.id))
    await within(theirs, async () => {
      await expect(repository.restore(row.id)).rejects.toMatchObject({ status: 404 })
      now += 1
      expect(await repository.purge({ olderThanMs: 0 })).toBe(0)
    })
    expect(await within(null, () => repository.purge({ olderThanMs: 0, everyTenant: true }))).toBe(1)
  })

  it('refuses every statement without a tenant', async () => {
    const missing = { code: 'tenant.required', status: 400 }
    const { id } = await within(mine, () => repository.insert({ name: 'plan' }))
    const acts: (() => Promise<unknown>)[] = [
      () => repository.findById(id),
      () => repository.find(),
      () => repository.findOne({}),
      () => repository.count(),
      () => repository.insert({ name: 'x' }),
      () => repository.insertMany([{ name: 'x' }]),
      () => repository.update(id, { name: 'x' }),
      () => repository.softDelete(id),
      () => repository.restore(id),
      () => repository.delete(id),
      () => repository.purge({ olderThanMs: 0 }),
    ]
    for (const act of acts) {
      await expect(within(null, act)).rejects.toMatchObject(missing)
      await expect(act()).rejects.toMatchObject(missing)
    }
    expect((await db.query('select 1 from files')).rowCount).toBe(1)
  })
})
