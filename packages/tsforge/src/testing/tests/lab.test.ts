import { describe, expect, it } from 'vitest'
import { accounts } from '../../features/accounts/index.ts'
import { defineFeature } from '../../http/feature.ts'
import { route } from '../../http/route.ts'
import { Type } from '../../http/schema.ts'
import { postgres } from '../../primitives/db/drivers/postgres.ts'
import { dbPort } from '../../primitives/db/index.ts'
import { createTestApp, createTestDatabase, testDb } from '../index.ts'
import { isPglite } from '../server.ts'

const migrations = [{ module: 'accounts', directory: new URL('../../features/accounts/migrations/', import.meta.url) }]

describe('createTestApp', () => {
  it('gives each app a database of its own', async () => {
    await using one = await createTestApp({ features: [accounts()] })
    await using two = await createTestApp({ features: [accounts()] })
    const ada = await one.register({ email: 'ada@example.com' })
    expect(await two.client.post('/api/v1/auth/login', { email: ada.email, password: ada.password })).toMatchObject({
      status: 401,
      body: { error: { code: 'user.invalid_credentials' } },
    })
    expect((await one.login(ada)).id).toBe(ada.id)
  })

  it('moves time only when told', async () => {
    await using app = await createTestApp({ features: [accounts()] })
    const ada = await app.register()
    expect((await ada.get('/api/v1/auth/me')).status).toBe(200)
    await app.clock.advance(16 * 60_000)
    expect((await ada.get('/api/v1/auth/me')).body.error.code).toBe('auth.token_expired')
  })

  it('speaks as whom it is told, and as nobody', async () => {
    const where = defineFeature({
      name: 'where',
      setup: () => undefined,
      routes: () => [
        route({
          method: 'GET',
          url: '/where',
          id: 'where',
          summary: 'Where am I?',
          access: 'authenticated',
          data: Type.Object({}),
          handler: () => ({}),
        }),
      ],
    })
    await using app = await createTestApp({ features: [accounts(), where] })
    const ada = await app.register()
    expect((await app.as(ada.tokens.access_token).get<{ id: string }>('/api/v1/auth/me')).body.data.id).toBe(ada.id)
    expect((await app.as(ada).get('/api/v1/auth/me', { token: null })).status).toBe(401)
    expect((await ada.with({ tenant: 'none' }).get('/where')).body.error.code).toBe('tenant.invalid')
  })

  it('keeps what the app logs', async () => {
    const chatty = defineFeature({ name: 'chatty', setup: ({ log }) => log.warn({ answer: 42 }, 'said') })
    await using app = await createTestApp({ features: [chatty] })
    expect(app.logged).toContainEqual(
      expect.objectContaining({ level: 'warn', part: 'chatty', answer: 42, msg: 'said' }),
    )
  })

  it('does not look at the environment of the machine', async () => {
    process.env['FORGE_HEALTH_BUDGET'] = 'nonsense'
    try {
      await using app = await createTestApp({ features: [] })
      expect(app.plan.host.healthBudgetMs).toBe(2000)
    } finally {
      delete process.env['FORGE_HEALTH_BUDGET']
    }
  })

  it('stops what it has started when the app does not come up', async () => {
    const stopped: string[] = []
    const early = defineFeature({
      name: 'early',
      needs: { db: dbPort },
      setup: () => 'early',
      stop: (name) => void stopped.push(name),
    })
    const bad = defineFeature({
      name: 'bad',
      setup: () => undefined,
      start: () => Promise.reject(new Error('no luck')),
    })
    await expect(createTestApp({ features: [early, bad] })).rejects.toThrow('Starting "bad" failed: no luck')
    expect(stopped).toEqual(['early'])
  })
})

describe('testDb', () => {
  it('comes migrated, empty, and with a second pool that sees the same rows', async () => {
    await using db = await testDb({ migrations })
    const count = 'select count(*)::int as count from forge_accounts_users'
    expect((await db.query<{ count: number }>(count)).rows).toEqual([{ count: 0 }])
    await db.query('create table shared (id int)')
    await db.tx(async (tx) => void (await tx.query('insert into shared values (1)')))
    expect((await db.another().query('select id from shared')).rows).toEqual([{ id: 1 }])
  })
})

// PGlite has no databases to create.
const onServers = isPglite() ? [] : ['on a server']

describe.each(onServers)('createTestDatabase %s', () => {
  it('is gone when it is disposed of, whoever is still connected', async () => {
    const database = await createTestDatabase(migrations)
    const lingering = postgres({ url: database.url, max: 1 })
    await lingering.query('select 1')
    await database[Symbol.asyncDispose]()
    await expect(lingering.query('select 1')).rejects.toThrow()
    await lingering.close()
  })

  it('makes one template for many who ask at once', async () => {
    const databases = await Promise.all(Array.from({ length: 4 }, () => createTestDatabase(migrations)))
    expect(new Set(databases.map(({ url }) => url)).size).toBe(4)
    for (const database of databases) await database[Symbol.asyncDispose]()
  })
})
