import { cpSync, mkdtempSync, readFileSync, symlinkSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createDb } from 'tsforge/db'
import type { Db } from 'tsforge/db'
import { startEmbedded } from 'tsforge/db/embedded'
import type { EmbeddedServer } from 'tsforge/db/embedded'
import { postgres } from 'tsforge/db/postgres'
import { createTestDatabase } from 'tsforge/testing'

/** The ledger app in a folder of its own. */
export interface Arena extends AsyncDisposable {
  readonly root: string
}

const app = new URL('./app/forge.config.ts', import.meta.url)

export function arena(): Arena {
  const root = mkdtempSync(join(tmpdir(), 'forge-chaos-'))
  cpSync(dirname(fileURLToPath(app)), root, {
    recursive: true,
    filter: (source) => !/[/\\](?:node_modules|\.forge|\.env)$/.test(source),
  })
  symlinkSync(resolve(import.meta.dirname, '../../node_modules'), join(root, 'node_modules'))
  return {
    root,
    // The database of a killed process takes a moment to end, and writes meanwhile.
    [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true, maxRetries: 50, retryDelay: 20 }),
  }
}

/** A PostgreSQL of its own that can be taken down and brought back at the same address. */
export interface Server extends AsyncDisposable {
  readonly url: string
  down(how: 'fast shutdown' | 'kill -9'): Promise<void>
  up(): Promise<void>
}

export async function ownServer(): Promise<Server> {
  const dir = mkdtempSync(join(tmpdir(), 'forge-chaos-pg-'))
  // Durable: what is judged here is whether an acknowledged write is there after a crash.
  const start = (): Promise<EmbeddedServer> => startEmbedded({ dir, maxConnections: 60 })
  let server = await start()
  return {
    url: server.url(),
    async down(how) {
      if (how === 'fast shutdown') return server.stop()
      process.kill(server.pid, 'SIGKILL')
      await server.ended
    },
    up: async () => void (server = await start()),
    async [Symbol.asyncDispose]() {
      await server.stop()
      await rm(dir, { recursive: true, force: true, maxRetries: 50, retryDelay: 20 })
    },
  }
}

/** A database to disturb from the outside: on the server that the run was given, else on one of its own. */
export async function anyDatabase(): Promise<{ readonly url: string } & AsyncDisposable> {
  return process.env['FORGE_TEST_DATABASE'] === 'pglite' ? ownServer() : createTestDatabase()
}

/** What the embedded server of an app says of itself (PostgreSQL source, `pidfile.h`: one fact per line). */
export function postmaster(root: string): { readonly pid: number; readonly socket: string; readonly status: string } {
  let text = ''
  try {
    text = readFileSync(join(root, '.forge/postgres/data/postmaster.pid'), 'utf8')
  } catch {
    // Not there at this moment.
  }
  const lines = text.split('\n').map((line) => line.trim())
  return { pid: Number.parseInt(lines[0] ?? '', 10), socket: lines[4] ?? '', status: lines[7] ?? '' }
}

export function embeddedUrl(root: string): string {
  return `postgres://postgres@${encodeURIComponent(postmaster(root).socket)}:5432/postgres`
}

/** Sessions beside the app's. */
export function witness(url: string): Db & AsyncDisposable {
  const db = createDb(postgres({ url, max: 3, applicationName: 'witness' }))
  return Object.assign(db, { [Symbol.asyncDispose]: () => db.close() })
}

/** Numbers in [0, 1) from a seed that is printed: mulberry32. */
export function randomness(seed: number = Math.floor(Math.random() * 2 ** 32)): () => number {
  console.info(`seed ${seed}`)
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
