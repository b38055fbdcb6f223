import { randomBytes } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import pg from 'pg'
import type { Db, Tx } from '../../db/db.ts'

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
      const db = poolDb(url)
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

function poolDb(connectionString: string): Db {
  const pool = new pg.Pool({ connectionString, max: 10 })
  pool.on('error', () => {})
  const query = (text: string, values?: unknown[]) => pool.query(text, values) as never
  const db: Db = {
    capabilities: { listen: true, concurrent: true, prepared: true, pipeline: false, replica: false },
    query,
    read: { query },
    tx: async (fn) => {
      const client = await pool.connect()
      const after: (() => void)[] = []
      const tx: Tx = {
        query: (text, values) => client.query(text, values) as never,
        savepoint: (inner) => inner(tx),
        afterCommit: (callback) => void after.push(callback),
      }
      try {
        await client.query('begin')
        const result = await fn(tx)
        await client.query('commit')
        for (const callback of after) callback()
        return result
      } catch (error) {
        await client.query('rollback')
        throw error
      } finally {
        client.release()
      }
    },
    pipeline: (statements) => db.tx(async (tx) => Promise.all(statements.map((s) => tx.query(s.text, s.values)))),
    listen: async (channel, onNotify) => {
      const client = new pg.Client({ connectionString })
      client.on('error', () => {})
      await client.connect()
      client.on('notification', (n) => onNotify(n.payload ?? ''))
      await client.query(`listen ${channel}`)
      return () => client.end()
    },
    notify: async (channel, payload, tx) => void (await (tx ?? db).query('select pg_notify($1, $2)', [channel, payload])),
    start: async () => {},
    close: () => pool.end(),
  }
  return db
}
