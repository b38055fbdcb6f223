import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { afterAll } from 'vitest'
import { whenLeft } from '../../../../testing/database.ts'
import { testServer, withDatabase } from '../../tests/servers.ts'
import type { TestServer } from '../../tests/servers.ts'

/** The run's server; on PGlite runs, one named for it or an embedded one of this file. */
let own: Promise<TestServer> | undefined

async function serverUrl(): Promise<string> {
  const shared = process.env['FORGE_TEST_SERVER_URL'] ?? process.env['FORGE_TEST_POSTGRES_URL']
  return shared ?? (await (own ??= testServer('scratch'))).url
}

afterAll(async () => {
  await (await own)?.close()
  own = undefined
})

export interface ScratchDatabase {
  readonly url: string
  readonly pool: pg.Pool
  drop(): Promise<void>
}

/** An empty database of its own on a real server, for what needs several sessions or a bare `pg` pool. */
export async function scratchDatabase(max = 10): Promise<ScratchDatabase> {
  const name = `data_layer_${randomUUID().replaceAll('-', '')}`
  await administer(`create database ${name}`)
  const url = withDatabase(await serverUrl(), name)
  const pool = new pg.Pool({ connectionString: url, max })
  // Sessions that a test kills on purpose.
  pool.on('error', () => {}).on('connect', (client) => client.on('error', () => {}))
  return {
    url,
    pool,
    async drop() {
      await pool.end()
      await whenLeft(() => administer(`drop database ${name} with (force)`))
    },
  }
}

async function administer(sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: await serverUrl() })
  await client.connect()
  try {
    await client.query(sql)
  } finally {
    await client.end()
  }
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
