import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../../kernel/clock.ts'
import { silentLog } from '../../../kernel/log.ts'
import { createFakeClock } from '../../../testing/clock.ts'
import { testDb } from '../../../testing/db.ts'
import type { TestDb } from '../../../testing/db.ts'
import type { Db } from '../../db/index.ts'
import { createMigrator } from '../../db/migrate/index.ts'
import { createCodec } from '../codec.ts'
import { cacheContract } from '../contract.ts'
import type { CacheChange, CacheDriverParts } from '../driver.ts'
import { memory } from '../drivers/memory.ts'
import { postgres, postgresBus } from '../drivers/postgres.ts'
import { tiered } from '../drivers/tiered.ts'
import { keepsNothingOvertaken } from './overtaken.ts'

const migrations = [{ module: 'cache', directory: new URL('../migrations/', import.meta.url) }]
const time = { clock: systemClock, pass: (ms: number) => systemClock.sleep(ms) }

let db: TestDb
beforeAll(async () => {
  db = await testDb({ migrations })
})
afterAll(() => db[Symbol.asyncDispose]())

cacheContract({ ...time, name: 'postgres', create: () => postgres(db, { sweepEveryMs: 0 }) })
cacheContract({
  ...time,
  name: 'memory alone, told by NOTIFY',
  create: () => tiered({ near: memory(), bus: postgresBus(db) }),
})
cacheContract({
  ...time,
  name: 'memory before postgres, told by NOTIFY',
  create: () => tiered({ near: memory(), far: postgres(db, { sweepEveryMs: 0 }), bus: postgresBus(db) }),
})

describe('postgres', () => {
  const entry = { value: 'x', freshMs: 1, staleMs: 0, eagerMs: 0, tags: ['t'] }

  it('deletes what has expired, a batch at a time', async () => {
    const clock = createFakeClock()
    const driver = postgres(db, { sweepEveryMs: 1000 })
    const failures: unknown[] = []
    const parts: CacheDriverParts = {
      clock,
      codec: createCodec({ maxBytes: 1000 }),
      invalidated: () => {},
      failed: (_, error) => failures.push(error),
    }
    await driver.start?.(parts)
    await driver.set('sweep::', 'kept', { ...entry, freshMs: 60_000 }, { loadedForMs: 0 })
    await db.query(
      `insert into forge_cache_entries (address, value, expires_at) select 'sweep::' || n, '', now() - interval '1 s' from generate_series(1, 2500) n`,
    )
    await driver.lock!('sweep::', 'a', 'token', 1)
    await clock.advance(1300)
    const left = async (): Promise<unknown> =>
      (
        await db.query(
          `select address from forge_cache_entries where address like 'sweep::%' union all select address from forge_cache_locks where address = 'sweep::a'`,
        )
      ).rows
    await expect.poll(left).toEqual([{ address: 'sweep::kept' }])
    await driver.close()
    expect(failures).toEqual([])
    expect(clock.pending).toBe(0)
  })

  it('keeps nothing whose tag was invalidated while it was loaded, however long the way to the store takes', async () => {
    const slow: Db = Object.create(db, {
      query: {
        value: async (...args: Parameters<Db['query']>) => {
          await systemClock.sleep(50)
          return db.query(...args)
        },
      },
    })
    await keepsNothingOvertaken(postgres(slow, { sweepEveryMs: 0 }), postgres(db, { sweepEveryMs: 0 }))
  })

  it('takes its tables away again', async () => {
    await using fresh = await testDb()
    const migrator = createMigrator({
      connect: () => fresh.connect(),
      sources: migrations,
      clock: systemClock,
      log: silentLog,
    })
    const left = async (): Promise<unknown[]> =>
      (await fresh.query(`select relname from pg_class where relname like 'forge_cache%'`)).rows
    await migrator.up()
    expect((await left()).length).toBeGreaterThan(3)
    await migrator.down()
    expect(await left()).toEqual([])
    await migrator.up()
  })
})

describe('the bus over NOTIFY', () => {
  it('cuts changes into messages that PostgreSQL takes, and leaves out its own', async () => {
    const [here, there] = [postgresBus(db), postgresBus(db)]
    const heard: CacheChange[] = []
    const own: CacheChange[] = []
    const stop = [
      await there.subscribe(
        (change) => heard.push(change),
        () => {},
      ),
      await here.subscribe(
        (change) => own.push(change),
        () => {},
      ),
    ]
    const keys = Array.from({ length: 500 }, (_, n) => `${n}"ä`.repeat(20))
    await here.publish({ prefix: 'n::', keys, tags: ['t'] })
    await here.publish({ prefix: 'n:' })
    await here.publish({})
    await expect.poll(() => heard.at(-1)).toEqual({})
    expect(heard.flatMap((change) => change.keys ?? [])).toEqual(keys)
    expect(heard.flatMap((change) => change.tags ?? [])).toEqual(['t'])
    expect(heard.at(-2)).toEqual({ prefix: 'n:' })
    expect(own).toEqual([])
    for (const end of stop) await end()
  })
})
