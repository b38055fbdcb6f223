import { randomUUID } from 'node:crypto'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type { Db } from 'tsforge/db'
import { eventually, launch } from '../e2e/product.ts'
import type { Product, Reply } from '../e2e/product.ts'
import { anyDatabase, arena, ownServer, witness } from './arena.ts'
import type { Arena } from './arena.ts'
import { polling } from './load.ts'

// Several processes start in each test, which takes a busy machine its time.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 120_000 })

const poolMax = 4

let folder: Arena
let database: Awaited<ReturnType<typeof anyDatabase>>
let product: Product
beforeAll(async () => {
  folder = arena()
  database = await anyDatabase()
  {
    // Deadlocks are looked for sooner than after the usual second.
    await using db = witness(database.url)
    const { rows } = await db.query<{ name: string }>('select quote_ident(current_database()) as name', [])
    await db.query(`alter database ${rows[0]?.name} set deadlock_timeout = '20ms'`)
  }
  product = await launch({
    root: folder.root,
    env: {
      DATABASE_URL: database.url,
      DATABASE_POOL_MAX: String(poolMax),
      // Longer than a busy machine takes to connect for a route of its own.
      DATABASE_POOL_WAIT: '3s',
      DATABASE_LOCK_TIMEOUT: '2s',
      FORGE_HTTP_SHED_DELAY: '30s',
    },
  })
})
afterAll(async () => {
  await product[Symbol.asyncDispose]()
  await database[Symbol.asyncDispose]()
  await folder[Symbol.asyncDispose]()
})

const refusal = ({ status, headers, body }: Reply<unknown>): string =>
  status === 503 && headers.has('retry-after') ? body.error.code : `unjustified ${status}`

describe('a pool whose connections are all held', () => {
  it('makes others wait for a bounded time, answers 503 and recovers', async () => {
    await using db = witness(database.url)
    await using lock = await locking(db, 'entries')
    // No statement ends before the gate opens. Where connecting takes too long, nobody got as far as the lock: once more.
    const codes = new Set<string>()
    await eventually(async () => {
      const answers = Array.from({ length: poolMax * 5 }, () => product.ask('GET', '/entries'))
      for (const answer of await Promise.all(answers)) codes.add(refusal(answer))
      return codes.size > 1
    })
    expect([...codes].sort()).toEqual(['db.lock_timeout', 'db.pool_exhausted'])
    expect((await product.ask('GET', '/healthz')).status).toBe(200)
    await lock.release()
    expect((await product.ask('GET', '/entries')).status).toBe(200)
  })
})

describe('a table that somebody has locked', () => {
  it('costs its own route 503, and no other route anything', async () => {
    await using db = witness(database.url)
    await using lock = await locking(db, 'locked')
    const others = polling(product, '/entries')
    const stuck = await Promise.all(
      Array.from({ length: 40 }, () => product.ask('POST', '/locked', { body: { id: randomUUID() } })),
    )
    await others.stop()
    expect([...new Set(stuck.map(refusal))].sort()).toEqual(['db.lock_timeout', 'db.pool_exhausted'])
    expect(others.statuses.length).toBeGreaterThan(0)
    expect(new Set(others.statuses)).toEqual(new Set([200]))
    await lock.release()
    expect((await product.ask('POST', '/locked', { body: { id: randomUUID() } })).status).toBe(200)
  })
})

describe('transactions that stand in each other’s way', () => {
  it('are run again when the server picks a victim: all or nothing, and within bounds', async () => {
    await using db = witness(database.url)
    const value = async (name: string): Promise<number> =>
      (await db.query<{ value: number }>('select value from counters where name = $1', [name])).rows[0]?.value ?? -1
    const deadlocks = async (): Promise<number> =>
      (
        await db.query<{ n: number }>(
          'select deadlocks::int as n from pg_stat_database where datname = current_database()',
          [],
        )
      ).rows[0]?.n ?? 0
    const before = await deadlocks()
    let done = 0
    let refused = 0
    await eventually(async () => {
      const answers = await Promise.all(
        // As many as one route may hold of the pool: none has to wait for a connection.
        Array.from({ length: poolMax - 1 }, (_, i) =>
          product.ask('POST', '/transfers', { body: { names: i % 2 === 0 ? ['a', 'b'] : ['b', 'a'] } }),
        ),
      )
      for (const answer of answers) {
        const { status, body } = answer
        if (status === 200) done++
        else if (status === 409 && body.error.code === 'db.conflict') refused++
        // On a machine that stands still while one holds what others want.
        else expect(refusal(answer)).toMatch(/^db\.(?:lock_timeout|pool_exhausted)$/)
      }
      return (await deadlocks()) > before && done >= 10
    })
    // A victim that nobody ran again would be told of its conflict. The server counts victims with a delay.
    await eventually(async () => (await deadlocks()) - before > refused)
    expect([await value('a'), await value('b')]).toEqual([done, done])
  })

  it('lose no update when they are serializable', async () => {
    await using db = witness(database.url)
    const value = async (): Promise<number> =>
      (await db.query<{ value: number }>("select value from counters where name = 'a'", [])).rows[0]?.value ?? -1
    const before = await value()
    const answers = await Promise.all(Array.from({ length: poolMax * 2 }, () => product.ask('POST', '/increments')))
    const done = answers.filter(({ status }) => status === 200).length
    expect(answers.filter(({ status }) => status !== 200 && status !== 409 && status !== 503)).toEqual([])
    expect(done).toBeGreaterThan(0)
    expect(await value()).toBe(before + done)
  })
})

describe('a network that swallows everything', () => {
  it('is found out, and connections that lead nowhere are replaced once there is a way', async () => {
    await using server = await ownServer()
    await using wire = await wireTo(server.url)
    await using app = arena()
    await using own = await launch({
      root: app.root,
      env: {
        DATABASE_URL: wire.url,
        DATABASE_POOL_MAX: '3',
        DATABASE_POOL_WAIT: '500ms',
        DATABASE_STATEMENT_TIMEOUT: '1s',
        FORGE_HTTP_SHED_DELAY: '30s',
        FORGE_HTTP_REQUEST_TIMEOUT: '2s',
      },
    })
    const write = () => own.ask('POST', '/entries', { body: { id: randomUUID(), way: 'tx' } })
    // A busy machine may take longer than these limits to connect.
    await eventually(async () => (await Promise.all([write(), write(), write()])).every(({ status }) => status === 201))
    wire.swallow()
    const lost = await Promise.all(Array.from({ length: 6 }, write))
    expect(lost.map(refusal).filter((code) => !/^(?:db\.|http\.timeout)/.test(code))).toEqual([])
    expect((await own.ask('GET', '/healthz')).status).toBe(200)
    expect((await own.ask('GET', '/readyz')).status).toBe(503)
    // What was connected before stays in the dark; only new connections arrive.
    wire.mend()
    await eventually(async () => (await write()).status === 201)
    await eventually(async () => (await own.ask('GET', '/readyz')).status === 200)
  })
})

/** Holds a table until it is told to let go. */
async function locking(db: Db, table: string): Promise<AsyncDisposable & { release(): Promise<void> }> {
  const session = await db.connect()
  await session.query(`begin; lock table ${table} in access exclusive mode`)
  const release = async (): Promise<void> => {
    await session.query('rollback').catch(() => undefined)
    session.release()
  }
  return { release, [Symbol.asyncDispose]: release }
}

/** A TCP way to a server on a Unix socket, which can go dark without a word. */
async function wireTo(url: string): Promise<AsyncDisposable & { readonly url: string; swallow(): void; mend(): void }> {
  const path = `${decodeURIComponent(/@([^:/]+)/.exec(url)?.[1] ?? '')}/.s.PGSQL.5432`
  const sockets = new Set<Socket>()
  let dark = false
  const server = createServer((near) => {
    const far = connect(path)
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => undefined).on('close', () => sockets.delete(socket))
    }
    if (dark) {
      near.pause()
      return
    }
    near.pipe(far)
    far.pipe(near)
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  return {
    url: `postgres://postgres@127.0.0.1:${(server.address() as AddressInfo).port}/postgres`,
    swallow() {
      dark = true
      for (const socket of sockets) socket.unpipe().pause()
    },
    mend: () => void (dark = false),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((closed) => server.close(closed))
    },
  }
}
