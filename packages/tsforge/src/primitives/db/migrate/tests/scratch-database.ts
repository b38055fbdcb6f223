import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { randomUUID } from 'node:crypto'
import pg from 'pg'

const server = process.env['FORGE_TEST_DATABASE_URL'] ?? 'postgres://postgres@127.0.0.1:54329/postgres'

export interface ScratchDatabase {
  readonly url: string
  readonly pool: pg.Pool
  drop(): Promise<void>
}

/** An empty database of its own on the real server. */
export async function scratchDatabase(max = 10): Promise<ScratchDatabase> {
  const name = `data_layer_${randomUUID().replaceAll('-', '')}`
  await administer(`create database ${name}`)
  const url = new URL(server)
  url.pathname = `/${name}`
  const pool = new pg.Pool({ connectionString: url.href, max })
  // Sessions that a test kills on purpose.
  pool.on('error', () => {}).on('connect', (client) => client.on('error', () => {}))
  return {
    url: url.href,
    pool,
    async drop() {
      await pool.end()
      await administer(`drop database ${name} with (force)`)
    },
  }
}

async function administer(sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: server })
  await client.connect()
  await client.query(sql)
  await client.end()
}

/** A folder with the given files, removed by `remove`. */
export function folderOf(files: Readonly<Record<string, string>>): {
  readonly path: string
  remove(): void
  write(name: string, text: string): void
} {
  const path = mkdtempSync(join(tmpdir(), 'forge-migrations-'))
  const write = (name: string, text: string): void => writeFileSync(join(path, name), text)
  for (const [name, text] of Object.entries(files)) write(name, text)
  return { path, write, remove: () => rmSync(path, { recursive: true, force: true }) }
}
