import { expect, it } from 'vitest'
import { systemClock } from '../../../kernel/clock.ts'
import { silentLog } from '../../../kernel/log.ts'
import { createMigrator } from '../../../primitives/db/migrate/index.ts'
import { testDb } from '../../../testing/db.ts'
import { migrations } from './setup.ts'

it('goes up, down without a trace, and up again', async () => {
  await using db = await testDb()
  const migrator = createMigrator({
    connect: () => db.connect(),
    sources: migrations,
    clock: systemClock,
    log: silentLog,
  })
  const left = async (): Promise<unknown[]> =>
    (
      await db.query(
        `select relname as name from pg_class where relname like 'forge_quota%'
         union all select proname from pg_proc where proname like 'forge_quota%'`,
      )
    ).rows
  await migrator.up()
  expect((await left()).length).toBeGreaterThan(10)
  await migrator.down()
  expect(await left()).toEqual([])
  await migrator.up()
})
