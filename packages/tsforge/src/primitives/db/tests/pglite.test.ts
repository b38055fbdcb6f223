import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PGlite } from '@electric-sql/pglite'
import { expect, it } from 'vitest'
import { createDb } from '../db.ts'
import { pglite } from '../drivers/pglite.ts'

it('keeps its data in a folder', async () => {
  const base = await mkdtemp(join(tmpdir(), 'forge-lite-'))
  const open = (): ReturnType<typeof createDb> => createDb(pglite({ dir: join(base, '.forge', 'pglite') }))
  const first = open()
  await first.query('create table kept as select 1 as n')
  await first.close()
  const second = open()
  expect((await second.query('select n from kept', [])).rows).toEqual([{ n: 1 }])
  await second.close()
  await rm(base, { recursive: true, force: true })
}, 300_000)

it('uses a live instance and leaves it open; closing twice does no harm', async () => {
  const lite = await PGlite.create()
  const db = createDb(pglite({ pglite: lite }))
  await db.query('create table kept as select 1 as n')
  await db.close()
  await db.close()
  expect((await lite.query('select n from kept')).rows).toEqual([{ n: 1 }])
  await lite.close()
}, 300_000)

it('refuses a second connection after its wait limit when a connection is held outside of a transaction', async () => {
  const driver = pglite({ poolWaitMs: 50 })
  const db = createDb(driver)
  await db.start()
  const held = await driver.connect()
  await expect(db.query('select 1', [])).rejects.toMatchObject({ code: 'db.pool_exhausted' })
  held.release()
  expect((await db.query('select 1 as one', [])).rows).toEqual([{ one: 1 }])
  await db.close()
}, 300_000)
