import { setTimeout as turn } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../../kernel/clock.ts'
import type { Clock } from '../../../kernel/clock.ts'
import { createContext, runWithContext } from '../../../kernel/context.ts'
import { createDb } from '../db.ts'
import type { Db } from '../db.ts'
import { postgres } from '../drivers/postgres.ts'
import type { PostgresOptions, ReplicaLag } from '../drivers/postgres.ts'
import { testServer, withDatabase } from './servers.ts'
import type { TestServer } from './servers.ts'

// A second database stands in for the replica, so that one can see which of the two has answered.
let server: TestServer
const open: Db[] = []

beforeAll(async () => {
  server = await testServer('replica')
  await server.admin('create table accounts (id int primary key, balance int not null)')
  await server.admin('insert into accounts values (1, 100)')
}, 180_000)
afterAll(async () => {
  await server.close()
})

describe('a replica', () => {
  const text = 'select current_database() as name'
  let replicaUrl: string
  let lag: ReplicaLag | Error
  let ticks: (() => void)[]
  const clock: Clock = {
    ...systemClock,
    every: (_, fn) => {
      ticks.push(fn)
      return { cancel: () => undefined }
    },
  }

  const make = (options: PostgresOptions): Db => {
    const db = createDb(postgres({ ...options, clock }), { clock })
    open.push(db)
    return db
  }

  beforeAll(async () => {
    const name = `forge_replica_${process.pid}_${Math.random().toString(36).slice(2, 8)}`
    await server.admin(`create database ${name}`)
    replicaUrl = withDatabase(server.url, name)
    return async () => void (await server.admin(`drop database ${name} with (force)`))
  })
  afterEach(async () => {
    await Promise.all(open.splice(0).map((db) => db.close()))
  })
  beforeEach(() => {
    lag = { bytes: 0, seconds: 0 }
    ticks = []
  })

  const withReplica = async (url = replicaUrl): Promise<Db> => {
    const probe = async (): Promise<ReplicaLag> => {
      if (lag instanceof Error) throw lag
      return lag
    }
    const db = make({ url: server.url, replicaUrl: url, replica: { probe, maxLagBytes: 1000, maxLagMs: 2000 } })
    await db.start()
    return db
  }
  const target = async (db: Db): Promise<'primary' | 'replica'> => {
    const { rows } = await db.read.query<{ name: string }>(text, [])
    return replicaUrl.includes(rows[0]!.name) ? 'replica' : 'primary'
  }
  const look = async (): Promise<void> => {
    for (const tick of ticks) tick()
    await turn(0)
  }

  it('answers reads while it is close to the primary, and not when it is behind in bytes, in time, or silent', async () => {
    const db = await withReplica()
    expect(await target(db)).toBe('replica')
    for (const behind of [{ bytes: 1001, seconds: 0 }, { bytes: 10, seconds: 2.1 }, new Error('gone')]) {
      lag = behind
      await look()
      expect(await target(db)).toBe('primary')
      lag = { bytes: 1000, seconds: 2 }
      await look()
      expect(await target(db)).toBe('replica')
    }
  })

  it('is not asked by a unit of work that has written', async () => {
    const db = await withReplica()
    const writes: ((db: Db) => Promise<unknown>)[] = [
      () => db.query('update accounts set balance = 1 where id = 1', []),
      () => db.query('with done as (update accounts set balance = 1 where id = 1 returning id) select * from done', []),
      () => db.tx((tx) => tx.query('update accounts set balance = 1 where id = 1', [])),
      () => db.pipeline([{ text: 'update accounts set balance = 1 where id = 1' }]),
    ]
    for (const write of writes) {
      await runWithContext(createContext({ requestId: 'r' }), async () => {
        await db.query('select 1', [])
        await db.tx((tx) => tx.query('select 1', []), { readOnly: true })
        expect(await target(db)).toBe('replica')
        await write(db)
        expect(await target(db)).toBe('primary')
      })
    }
    await runWithContext(createContext({ requestId: 'r' }), async () => {
      await db
        .tx(async (tx) => {
          await tx.query('update accounts set balance = 1 where id = 1', [])
          throw new Error('rolled back')
        })
        .catch(() => undefined)
      expect(await target(db)).toBe('replica')
    })
  })

  it('that dies leaves its reads to the primary at once', async () => {
    const db = await withReplica(withDatabase(server.url, 'no_such_replica'))
    expect(await target(db)).toBe('primary')
    const unreachable = await withReplica('postgres://postgres@127.0.0.1:1/none')
    expect(await target(unreachable)).toBe('primary')
    expect(await target(unreachable)).toBe('primary')
  })

  it('that is not one is found out by PostgreSQL itself', async () => {
    const db = make({ url: server.url, replicaUrl })
    await db.start()
    expect(await target(db)).toBe('primary')
  })
})
