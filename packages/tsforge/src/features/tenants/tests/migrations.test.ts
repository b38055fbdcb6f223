import { expect, test } from 'vitest'
import { systemClock } from '../../../kernel/clock.ts'
import { silentLog } from '../../../kernel/log.ts'
import { createMigrator } from '../../../primitives/db/migrate/index.ts'
import { replicasOf } from '../../../primitives/keys/tests/database.ts'

test('the migrations go up, down without a trace, and up again', async () => {
  await using database = await replicasOf()
  const db = database.connect()
  const sources = [{ module: 'tenants', directory: new URL('../migrations/', import.meta.url) }]
  const migrator = createMigrator({ connect: () => db.connect(), sources, clock: systemClock, log: silentLog })
  const tables = async () =>
    (await db.query(`select tablename from pg_tables where tablename like 'forge_tenants%'`)).rows
  await migrator.up()
  expect(await tables()).toHaveLength(2)
  await migrator.down({ steps: 2 })
  expect(await tables()).toEqual([])
  await migrator.up()
  expect(await tables()).toHaveLength(2)
})
