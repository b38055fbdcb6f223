import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { createApp } from 'tsforge'
import type { AppConfig } from 'tsforge'
import type { Db } from 'tsforge/db'
import { describe, expect, it, vi } from 'vitest'
import { appFolder, launch } from '../e2e/product.ts'
import { anyDatabase, arena, randomness, witness } from './arena.ts'
import { bare } from './process.ts'

// Several processes start in each test, which takes a busy machine its time.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 120_000 })

const settings = {
  NODE_ENV: 'development',
  FORGE_LOG_LEVEL: 'error',
  FORGE_SECRET: 'nobody-guesses-this-0123456789-abcdefghijk',
}

async function relations(db: Db): Promise<number> {
  const { rows } = await db.query<{ n: number }>(
    "select count(*)::int as n from pg_class where relnamespace = 'public'::regnamespace",
    [],
  )
  return rows[0]?.n ?? 0
}

/** A start that is killed at a place in its work, not at a time that the machine decides over; at its end at the latest. */
async function killed(
  root: string,
  env: Readonly<Record<string, string>>,
  reached: () => Promise<boolean>,
): Promise<void> {
  await using app = bare(root, { env: { ...env, FORGE_LOG_LEVEL: 'info' } })
  // Between two looks the start has the machine for itself.
  while (!(await reached()) && !app.output().includes('listening') && app.child.exitCode === null) await sleep(5)
  app.child.kill('SIGKILL')
  await app.exited
}

describe('a first start that is killed', () => {
  it('in the middle of its migrations, at any moment, does not keep the next from succeeding', async () => {
    const random = randomness()
    await using folder = await appFolder()
    const { default: config } = (await import(pathToFileURL(join(folder.root, 'forge.config.ts')).href)) as {
      default: AppConfig
    }
    const rounds = 6
    for (let round = 0; round < rounds; round++) {
      await using database = await anyDatabase()
      await using db = witness(database.url)
      const env = { ...settings, DATABASE_URL: database.url }
      const place = ((round + random()) * 50) / rounds
      // Between nothing at all and everything that a first start makes: 40 tables, indexes and sequences or so. Each round has its part of that.
      await killed(folder.root, env, async () => (await relations(db)) >= place)

      const sink = { write: () => undefined, flushSync: () => undefined }
      const app = await createApp({ config, root: folder.root, env, sink })
      try {
        await app.open()
        expect((await app.fetch('http://app/readyz')).status).toBe(200)
        const { rows: pending } = await db.query("select 1 from forge_migrations where state <> 'applied'", [])
        expect(pending).toEqual([])
        const { rows: keys } = await db.query('select state from forge_keys_signing_keys order by state', [])
        expect(keys).toEqual([{ state: 'active' }, { state: 'next' }])
      } finally {
        await app.stop()
      }
    }
  })

  it('while it makes the embedded database, at any moment, does not keep the next from succeeding', async () => {
    const random = randomness()
    await using folder = arena()
    for (let round = 0; round < 3; round++) {
      await using app = bare(folder.root, { args: ['--json'] })
      const timer = setTimeout(() => app.child.kill('SIGKILL'), 200 + random() * 1300)
      await app.exited.finally(() => clearTimeout(timer))
    }
    await using product = await launch({ root: folder.root })
    expect((await product.ask('GET', '/readyz')).status).toBe(200)
  })
})
