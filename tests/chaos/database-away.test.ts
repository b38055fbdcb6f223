import { describe, expect, it, vi } from 'vitest'
import { eventually, launch } from '../e2e/product.ts'
import { anyDatabase, arena, embeddedUrl, ownServer, postmaster, randomness, witness } from './arena.ts'
import { missing, polling, writing } from './load.ts'

// Several processes start in each test, which takes a busy machine its time.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 120_000 })

describe('PostgreSQL that goes away under load', () => {
  it.each(['fast shutdown', 'kill -9'] as const)(
    'and comes back (%s): 503 meanwhile, alive all the time, nothing acknowledged is lost',
    async (how) => {
      await using folder = arena()
      await using server = await ownServer()
      await using product = await launch({
        root: folder.root,
        env: { DATABASE_URL: server.url, FORGE_HTTP_SHED_DELAY: '30s' },
      })
      const load = writing(product, 6)
      const alive = polling(product, '/healthz')
      for (let round = 1; round <= 2; round++) {
        const before = load.accepted.length
        await eventually(() => load.accepted.length >= before + 30)
        await server.down(how)
        const refused = load.refused.get('db.unavailable') ?? 0
        await eventually(async () => (await product.ask('GET', '/readyz')).status === 503)
        await eventually(() => (load.refused.get('db.unavailable') ?? 0) >= refused + 10)
        const during = load.accepted.length
        await server.up()
        await eventually(async () => (await product.ask('GET', '/readyz')).status === 200)
        await eventually(() => load.accepted.length > during)
      }
      await load.stop()
      await alive.stop()
      expect(load.faults).toEqual([])
      expect(new Set(alive.statuses)).toEqual(new Set([200]))
      await using db = witness(server.url)
      expect(await missing(db, load.accepted)).toEqual([])
    },
  )

  it('as the embedded server does when it is killed: it is started again by the app', async () => {
    await using folder = arena()
    await using product = await launch({ root: folder.root, env: { FORGE_HTTP_SHED_DELAY: '30s' } })
    const load = writing(product, 6)
    const alive = polling(product, '/healthz')
    let last = 0
    for (let round = 1; round <= 2; round++) {
      const before = load.accepted.length
      await eventually(() => load.accepted.length >= before + 20)
      const pid = await eventually(() => {
        const found = postmaster(folder.root)
        return found.pid !== last && found.status === 'ready' && found.pid
      })
      process.kill(pid, 'SIGKILL')
      last = pid
    }
    const before = load.accepted.length
    await eventually(() => load.accepted.length >= before + 20)
    await load.stop()
    await alive.stop()
    expect(load.faults).toEqual([])
    expect(new Set(alive.statuses)).toEqual(new Set([200]))
    const { body } = await product.ask<{ count: number }>('GET', '/entries')
    expect(body.data.count).toBeGreaterThanOrEqual(load.accepted.length)
    await using db = witness(embeddedUrl(folder.root))
    expect(await missing(db, load.accepted)).toEqual([])
  })
})

describe('connections that are cut at random while they write', () => {
  it('cost errors and never an acknowledged write', async () => {
    const random = randomness()
    await using folder = arena()
    await using database = await anyDatabase()
    await using product = await launch({
      root: folder.root,
      env: { DATABASE_URL: database.url, FORGE_HTTP_SHED_DELAY: '30s' },
    })
    await using db = witness(database.url)
    const load = writing(product, 6)
    let cut = 0
    await eventually(async () => {
      const { rowCount } = await db.query(
        `select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and application_name <> 'witness' and random() < $1`,
        [random()],
      )
      cut += rowCount ?? 0
      return cut >= 60 && load.accepted.length >= 100
    })
    const before = load.accepted.length
    await eventually(() => load.accepted.length >= before + 20)
    await load.stop()
    expect(load.faults).toEqual([])
    // The judge sees something: some were refused.
    expect([...load.refused.values()].reduce((sum, n) => sum + n, 0)).toBeGreaterThan(0)
    expect(await missing(db, load.accepted)).toEqual([])
  })
})
