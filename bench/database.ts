import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { startEmbedded } from 'tsforge/db/embedded'

export const people = 1000

/** The key of a row of `bench_people`. */
export function personId(index: number): string {
  return `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`
}

export interface Database {
  readonly url: string
  /** What answers, for the report. */
  readonly version: string
  remove(): Promise<void>
}

/**
 * A database of our own on `DATABASE_URL`, or on an embedded server that ends with the benchmark. `durable`: that one
 * writes as it would for an app.
 */
export async function openDatabase({ durable = false }: { readonly durable?: boolean } = {}): Promise<Database> {
  const given = process.env['DATABASE_URL']
  if (given !== undefined) return create(given, async () => {})
  // Short: a Unix socket's path has at most 107 bytes.
  const dir = mkdtempSync(join(tmpdir(), 'bench-'))
  const server = await startEmbedded({ dir: join(dir, 'pg'), durable, maxConnections: 200 })
  return create(server.url(), async () => {
    await server.stop()
    rmSync(dir, { recursive: true, force: true })
  })
}

async function create(adminUrl: string, stopServer: () => Promise<void>): Promise<Database> {
  const name = `tsforge_bench_${process.pid}`
  await execute(adminUrl, `drop database if exists ${name} with (force)`, `create database ${name}`)
  const target = new URL(adminUrl)
  target.pathname = `/${name}`
  const version = await execute(target.href, table, rows, 'analyze bench_people', 'show server_version')
  return {
    url: target.href,
    version: `PostgreSQL ${String(version)}`,
    remove: async () => {
      await execute(adminUrl, `drop database if exists ${name} with (force)`)
      await stopServer()
    },
  }
}

const table = `create table bench_people (
  id uuid primary key,
  name text not null,
  email text not null,
  created_at timestamptz not null default now()
)`
const rows = `insert into bench_people (id, name, email)
  select ('00000000-0000-4000-8000-' || lpad(i::text, 12, '0'))::uuid, 'Person ' || i, 'person' || i || '@example.com'
  from generate_series(0, ${people - 1}) i`

/** Runs statements one by one; the first value of the last one's first row. */
async function execute(url: string, ...statements: readonly string[]): Promise<unknown> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    let last: unknown
    for (const statement of statements)
      last = Object.values(((await client.query(statement)).rows[0] ?? {}) as object)[0]
    return last
  } finally {
    await client.end()
  }
}
