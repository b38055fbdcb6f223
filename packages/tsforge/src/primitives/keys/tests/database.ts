import { randomBytes } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import pg from 'pg'
import { postgres } from '../../db/drivers/postgres.ts'
import { createDb } from '../../db/index.ts'
import type { Db } from '../../db/index.ts'

const server = process.env.FORGE_TEST_DATABASE_URL ?? 'postgres://postgres@127.0.0.1:54329/postgres'

export interface TestDatabase {
  /** A facade with a pool of its own, as another replica would have. */
  connect(): Db
  drop(): Promise<void>
}

/** A database of its own with the migrations of `folders` applied. */
export async function testDatabase(...folders: readonly URL[]): Promise<TestDatabase> {
  const name = `kt_${randomBytes(6).toString('hex')}`
  const admin = new pg.Client({ connectionString: server })
  await admin.connect()
  await admin.query(`create database ${name}`)
  const url = Object.assign(new URL(server), { pathname: `/${name}` }).href
  const setup = new pg.Client({ connectionString: url })
  await setup.connect()
  for (const folder of folders) {
    for (const file of (await readdir(folder)).sort()) if (file.endsWith('.up.sql')) await setup.query(await readFile(new URL(file, folder), 'utf8'))
  }
  await setup.end()
  const open: Db[] = []
  return {
    connect: () => {
      const db = createDb(postgres({ url }))
      open.push(db)
      return db
    },
    drop: async () => {
      await Promise.all(open.map((db) => db.close()))
      await admin.query(`drop database ${name} with (force)`)
      await admin.end()
    },
  }
}
