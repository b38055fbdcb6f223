import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { constants } from 'node:fs'
import { chmod, cp, mkdir, mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest'
import { startEmbedded } from '../drivers/embedded.ts'
import type { EmbeddedServer } from '../drivers/embedded.ts'

/** A server, and the process of its own that has started it. */
export interface Started {
  readonly process: ChildProcess
  readonly url: string
  readonly pid: number
  readonly owned: boolean
  /** Closes its input and waits for its end. */
  finish(): Promise<void>
  /** Kills it and waits until it is dead. */
  kill(): Promise<void>
}

export interface EmbeddedLab {
  /** A folder for this test alone. */
  readonly base: string
  /** A folder in it with the data of a server that has not been started yet. */
  seeded(name: string): Promise<string>
  start(dir: string, options?: { from?: string; identity?: 'nobody' }): Promise<EmbeddedServer>
  startElsewhere(dir: string): Promise<Started>
  /** Does it behind the test; the last thing first. */
  defer(cleanup: () => unknown): void
  /** Does it behind the test, after everything else. */
  deferLast(cleanup: () => unknown): void
}

/** Folders and servers that go with their test. Call it once in a file. */
export function embeddedLab(): EmbeddedLab {
  const cleanups: (() => unknown)[] = []
  let base = ''
  // initdb is the slow part: most tests start from a copy of one data folder.
  let seed = ''
  beforeAll(async () => {
    seed = await mkdtemp(join(tmpdir(), 'forge-seed-'))
    await (await startEmbedded({ dir: seed, durable: false })).stop()
  }, 180_000)
  afterAll(() => rm(seed, { recursive: true, force: true }))
  beforeEach(async () => {
    base = await realpath(await mkdtemp(join(tmpdir(), 'forge-emb-')))
  })
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
    await rm(base, { recursive: true, force: true })
  })
  return {
    get base() {
      return base
    },
    defer: (cleanup) => void cleanups.push(cleanup),
    deferLast: (cleanup) => void cleanups.unshift(cleanup),
    async seeded(name) {
      const dir = join(base, name)
      await mkdir(dir, { mode: 0o700 })
      await cp(join(seed, 'data'), join(dir, 'data'), { recursive: true, mode: constants.COPYFILE_FICLONE })
      await chmod(join(dir, 'data'), 0o700)
      return dir
    },
    async start(dir, options = {}) {
      const server = await startEmbedded({ dir, durable: false, ...options })
      cleanups.push(() => server.stop())
      return server
    },
    async startElsewhere(dir) {
      const script = fileURLToPath(new URL('./start-embedded.ts', import.meta.url))
      const child = spawn(process.execPath, ['--conditions=source', script, dir], {
        stdio: ['pipe', 'pipe', 'pipe'],
        cwd: '/',
      })
      const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
      let said = ''
      child.stderr.on('data', (text) => (said += String(text)))
      const finish = async (): Promise<void> => {
        child.stdin.end()
        await ended
      }
      const kill = async (): Promise<void> => {
        child.kill('SIGKILL')
        await ended
      }
      cleanups.push(finish)
      for await (const line of createInterface(child.stdout))
        return { process: child, finish, kill, ...(JSON.parse(line) as { url: string; pid: number; owned: boolean }) }
      throw new Error(said)
    },
  }
}

export async function ask(url: string, text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query(text)).rows as Record<string, unknown>[]
  } finally {
    await client.end()
  }
}
