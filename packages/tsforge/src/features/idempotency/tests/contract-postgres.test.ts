import { expect, it } from 'vitest'
import { systemClock } from '../../../kernel/clock.ts'
import { silentLog } from '../../../kernel/log.ts'
import { createMigrator } from '../../../primitives/db/index.ts'
import { testDb } from '../../../testing/db.ts'
import { idempotencyContract } from '../contract.ts'
import { postgres } from '../drivers/postgres.ts'
import { migrations } from './setup.ts'

idempotencyContract({
  name: 'postgres',
  create: async () => {
    const db = await testDb({ migrations })
    return {
      driver: postgres(db),
      // PGlite has one connection.
      ...(db.capabilities.concurrent && { second: postgres(db.another()) }),
      db,
      elapse: async (ms) => {
        await db.query(
          `update forge_idempotency_keys set lease_until = lease_until - $1::float8 * interval '1 millisecond',
             expires_at = expires_at - $1::float8 * interval '1 millisecond'`,
          [ms],
        )
      },
      close: async () => {
        await db[Symbol.asyncDispose]()
      },
    }
  },
})

it('goes up, down without a trace, and up again', async () => {
  await using db = await testDb()
  const migrator = createMigrator({
    connect: () => db.connect(),
    sources: migrations,
    clock: systemClock,
    log: silentLog,
  })
  const tables = async () =>
    (await db.query(`select tablename from pg_tables where tablename like 'forge_idempotency%'`)).rows
  await migrator.up()
  expect(await tables()).toHaveLength(1)
  await migrator.down()
  expect(await tables()).toEqual([])
  await migrator.up()
  expect(await tables()).toHaveLength(1)
})
