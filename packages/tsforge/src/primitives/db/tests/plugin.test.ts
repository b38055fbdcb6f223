import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../../kernel/clock.ts'
import { silentLog } from '../../../kernel/log.ts'
import { loadOptions } from '../../../kernel/options.ts'
import { createDb, dbPort } from '../db.ts'
import { dbOptions } from '../options.ts'
import type { DbOptions } from '../options.ts'
import { chooseDriver, database } from '../plugin.ts'

type Env = Readonly<Record<string, string>>

function load(env: Env, environment: 'development' | 'production' = 'development'): DbOptions {
  return (loadOptions({ db: dbOptions }, { env, environment }) as { db: DbOptions }).db
}

function refusal(env: Env): string {
  try {
    load(env, 'production')
    return ''
  } catch (error) {
    return String(error)
  }
}

const folders: string[] = []
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true })
})

async function choose(env: Env): Promise<ReturnType<typeof chooseDriver>> {
  const root = await mkdtemp(join(tmpdir(), 'forge-plugin-'))
  folders.push(root)
  return chooseDriver({
    options: load(env),
    clock: systemClock,
    log: silentLog,
    app: { name: 'app', version: '1', environment: 'development', root },
  })
}

describe('the driver', () => {
  it.each([
    [{}, 'embedded'],
    [{ DATABASE_URL: 'postgres://a@127.0.0.1/b' }, 'postgres'],
    [{ DATABASE_URL: 'postgres://a@127.0.0.1/b', FORGE_DB_DRIVER: 'embedded' }, 'embedded'],
    [{ FORGE_DB_DRIVER: 'pglite' }, 'pglite'],
  ])('for %o is %s', async (env, name) => {
    expect((await choose(env)).name).toBe(name)
  })

  it('that is asked for without its URL is refused before anything starts', () => {
    expect(() => load({ FORGE_DB_DRIVER: 'postgres' })).toThrow('DATABASE_URL')
  })

  it('has its data in the app’s own folder', async () => {
    const driver = await choose({})
    const db = createDb(driver)
    const { rows } = await db.query<{ data: string }>(`select current_setting('data_directory') as data`, [])
    expect(rows[0]!.data).toContain(join('.forge', 'postgres', 'data'))
    await db.close()
  }, 180_000)
})

describe('production', () => {
  const url = 'postgres://app:8sHq2c@db.example.com/app'

  it('needs a database of its own', () => {
    expect(refusal({})).toContain('DATABASE_URL')
    expect(refusal({ FORGE_DB_DRIVER: 'pglite', DATABASE_URL: `${url}?sslmode=verify-full` })).toContain(
      'FORGE_DB_DRIVER',
    )
    expect(refusal({ FORGE_DB_EMBEDDED_IN_PRODUCTION: 'true' })).toBe('')
  })

  it.each([
    [url, false],
    [`${url}?sslmode=disable`, false],
    [`${url}?sslmode=verify-full`, true],
    [`${url}?ssl=true`, true],
    ['postgres://app@127.0.0.1/app', true],
    ['postgres://app@localhost/app', true],
    ['postgres://app@%2Frun%2Fpostgresql/app', true],
  ])('and %s: reached without a stranger reading along: %s', (value, allowed) => {
    expect(refusal({ DATABASE_URL: value }) === '').toBe(allowed)
    expect(refusal({ DATABASE_URL: value, FORGE_DB_PLAINTEXT_ALLOWED: 'true' })).toBe('')
    expect(refusal({ DATABASE_URL: value })).not.toContain('8sHq2c')
  })

  it('holds the replica and the direct URL to the same', () => {
    for (const name of ['DATABASE_REPLICA_URL', 'DATABASE_DIRECT_URL']) {
      expect(refusal({ DATABASE_URL: `${url}?sslmode=verify-full`, [name]: url })).toContain(name)
    }
  })
})

describe('the plugin', () => {
  it('is what an app gets when it lists no database', async () => {
    const plugin = await dbPort.standard!()
    expect([plugin.name, plugin.provides]).toEqual(['db', dbPort])
  })

  it('is healthy while the database answers, and says no more than that when it does not', async () => {
    const { health } = database()
    const answering = { query: async () => ({ rows: [], rowCount: 0 }) }
    const silent = { query: () => new Promise(() => undefined) }
    const failing = { query: () => Promise.reject(new Error('password=hunter2')) }
    expect(await health!(answering, new AbortController().signal)).toEqual({ ok: true })
    expect(await health!(failing, new AbortController().signal)).toEqual({ ok: false, detail: 'unreachable' })
    const late = new AbortController()
    const asked = health!(silent, late.signal)
    late.abort(new Error('deadline'))
    expect(await asked).toEqual({ ok: false, detail: 'unreachable' })
  })
})
