import { describe, expect, it } from 'vitest'
import { register } from '../e2e/people.ts'
import { appFolder, eventually, launch } from '../e2e/product.ts'
import { anyDatabase, arena, randomness, witness } from './arena.ts'
import { bare } from './process.ts'

const cheap = {
  FORGE_ACCOUNTS_HASH_MEMORY: '19mb',
  FORGE_ACCOUNTS_HASH_PASSES: '2',
  FORGE_ACCOUNTS_HASH_LANES: '1',
  FORGE_SECRET: 'nobody-guesses-this-0123456789-abcdefghijk',
}

describe('a first start that is killed', () => {
  it('in the middle of its migrations, at any moment, does not keep the next from succeeding', async () => {
    const random = randomness()
    await using folder = await appFolder()
    const run = async (database: { readonly url: string }, stages: number): Promise<number> => {
      await using app = bare(folder.root, { env: { ...cheap, DATABASE_URL: database.url }, args: ['--json'] })
      await using db = witness(database.url)
      // The kill comes at a place in the work, not at a time that the machine decides over.
      await eventually(async () => {
        const { rows } = await db.query<{ n: number }>(
          "select count(*)::int as n from pg_class where relnamespace = 'public'::regnamespace",
          [],
        )
        return (rows[0]?.n ?? 0) >= stages || app.child.exitCode !== null
      }, 20_000)
      app.child.kill('SIGKILL')
      await app.exited
      const { rows } = await db.query<{ n: number }>(
        "select count(*)::int as n from pg_class where relnamespace = 'public'::regnamespace",
        [],
      )
      return rows[0]?.n ?? 0
    }
    for (let round = 0; round < 10; round++) {
      await using database = await anyDatabase()
      // Between nothing at all and everything that the first start makes.
      await run(database, Math.floor(random() * 30))
      await using product = await launch({ root: folder.root, env: { ...cheap, DATABASE_URL: database.url } })
      expect((await product.ask('GET', '/readyz')).status).toBe(200)
      if (round === 9) expect((await register(product)).status).toBe(201)
      await using db = witness(database.url)
      const { rows } = await db.query<{ state: string; n: number }>(
        'select state, count(*)::int as n from forge_keys_signing_keys group by state order by state',
        [],
      )
      expect(rows).toEqual([
        { state: 'active', n: 1 },
        { state: 'next', n: 1 },
      ])
      const { rows: open } = await db.query("select 1 from forge_migrations where state <> 'applied'", [])
      expect(open).toEqual([])
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
