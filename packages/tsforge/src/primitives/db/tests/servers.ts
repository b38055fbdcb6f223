import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { startEmbedded } from '../drivers/embedded.ts'

/** A database of its own on a real server: the one at FORGE_TEST_POSTGRES_URL, else an embedded one of this file. */
export interface TestServer {
  readonly url: string
  /** Runs a statement on a connection that has nothing to do with the driver under test. */
  admin(text: string, values?: unknown[]): Promise<Record<string, unknown>[]>
  close(): Promise<void>
}

export async function testServer(name: string): Promise<TestServer> {
  const external = process.env['FORGE_TEST_POSTGRES_URL']
  const dir = external === undefined ? await mkdtemp(join(tmpdir(), 'forge-test-')) : undefined
  const server = dir === undefined ? undefined : await startEmbedded({ dir, durable: false })
  const base = external ?? server!.url()
  const database = `forge_${name}_${process.pid}_${Math.random().toString(36).slice(2, 8)}`
  await once(base, `create database ${database}`)
  const url = withDatabase(base, database)
  return {
    url,
    admin: (text, values) => once(url, text, values),
    close: async () => {
      if (server === undefined) await once(base, `drop database ${database} with (force)`)
      await server?.stop()
      if (dir !== undefined) await rm(dir, { recursive: true, force: true })
    },
  }
}

export function withDatabase(url: string, database: string): string {
  return url.replace(/\/[^/?]*(\?|$)/, `/${database}$1`)
}

async function once(url: string, text: string, values?: unknown[]): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query(text, values)).rows as Record<string, unknown>[]
  } finally {
    await client.end()
  }
}
