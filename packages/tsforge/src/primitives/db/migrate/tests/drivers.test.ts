import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../../../kernel/clock.ts'
import { silentLog } from '../../../../kernel/log.ts'
import { createDb } from '../../db.ts'
import type { Db } from '../../db.ts'
import { pglite } from '../../drivers/pglite.ts'
import { postgres } from '../../drivers/postgres.ts'
import { createMigrator } from '../index.ts'
import type { Migrator } from '../index.ts'
import { folderOf, scratchDatabase } from './scratch-database.ts'
import type { ScratchDatabase } from './scratch-database.ts'

describe.each(['postgres', 'pglite'])('migrations over the %s driver', (name) => {
  let database: ScratchDatabase | undefined
  let db: Db
  const folder = folderOf({
    '0001_notes.up.sql': `create table notes (id int primary key);
      create function touch() returns trigger language plpgsql as $$ begin new.id := new.id; return new; end; $$;
      create trigger touched before update on notes for each row execute function touch();`,
    '0001_notes.down.sql': 'drop table notes; drop function touch;',
    '0002_index.up.sql': '-- forge:no-transaction\ncreate index concurrently notes_id on notes (id);',
    '0002_index.down.sql': 'drop index notes_id;',
  })
  const migrator = (): Migrator =>
    createMigrator({
      connect: () => db.connect(),
      sources: [{ module: 'notes', directory: folder.path }],
      clock: systemClock,
      log: silentLog,
    })

  beforeAll(async () => {
    if (name === 'postgres') database = await scratchDatabase()
    db = createDb(database === undefined ? pglite() : postgres({ url: database.url, max: 2 }))
    await db.start()
    // An engine of PGlite takes a busy machine a minute.
  }, 300_000)
  afterAll(async () => {
    await db.close()
    await database?.drop()
    folder.remove()
  })

  it('go up, down and up again, and name what fails', async () => {
    expect((await migrator().up()).steps).toHaveLength(2)
    expect((await migrator().up()).steps).toEqual([])
    expect((await migrator().down({ steps: 2 })).steps).toHaveLength(2)
    expect((await migrator().up()).steps).toHaveLength(2)
    folder.write('0003_bad.up.sql', 'create table half ();\nselect nonsense;')
    await expect(migrator().up()).rejects.toThrow(
      /0003_bad\.up\.sql failed at line 2: column "nonsense" does not exist/,
    )
    folder.write('0003_bad.up.sql', 'create table half ();')
    expect((await migrator().up()).steps).toMatchObject([{ id: 'notes/0003_bad' }])
    expect(await db.query('select 1 as one', [])).toMatchObject({ rows: [{ one: 1 }] })
  })
})
