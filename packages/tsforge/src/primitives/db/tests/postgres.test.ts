import { setTimeout as turn } from 'node:timers/promises'
import pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../../kernel/clock.ts'
import type { Clock } from '../../../kernel/clock.ts'
import { createDb } from '../db.ts'
import type { Db } from '../db.ts'
import { isQueryable } from '../driver.ts'
import { postgres } from '../drivers/postgres.ts'
import type { PostgresOptions } from '../drivers/postgres.ts'
import { connectionChannel, queryChannel, txChannel } from '../events.ts'
import type { DbConnectionEvent, DbQueryEvent, DbTxEvent } from '../events.ts'
import { testServer, withDatabase } from './servers.ts'
import type { TestServer } from './servers.ts'

let server: TestServer
const open: Db[] = []

beforeAll(async () => {
  server = await testServer('postgres')
  await server.admin('create table accounts (id int primary key, balance int not null)')
}, 180_000)
beforeEach(async () => {
  await server.admin('truncate accounts')
  await server.admin('insert into accounts values (1, 100), (2, 100)')
})
afterAll(async () => {
  await Promise.all(open.map((db) => db.close()))
  await server.close()
})

function make(options: Partial<PostgresOptions> = {}, clock: Clock = systemClock): Db {
  const source = options.pool === undefined ? { url: server.url } : {}
  const db = createDb(postgres({ ...source, clock, ...options }), { clock })
  open.push(db)
  return db
}

const code = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (error: { code?: unknown }) => error.code ?? error,
  )
const backend = 'select pg_backend_pid() as pid'
const pidOf = async (db: { query: Db['query'] }): Promise<number> =>
  (await db.query<{ pid: number }>(backend, [])).rows[0]!.pid
const terminate = (pid: number): Promise<unknown> => server.admin('select pg_terminate_backend($1)', [pid])
const balance = async (id: number): Promise<unknown> =>
  (await server.admin('select balance from accounts where id = $1', [id]))[0]?.['balance']

/** Resolves when a session waits for something that matches; the server is asked, so no time is guessed. */
async function waitingFor(where: string): Promise<number> {
  for (;;) {
    const [row] = await server.admin(
      `select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and ${where} limit 1`,
    )
    if (row !== undefined) return row['pid'] as number
    await turn(1)
  }
}

/** A promise with its resolver, to order two flows. */
function gate<T = void>(): { readonly passed: Promise<T>; readonly pass: (value: T) => void } {
  const { promise, resolve } = Promise.withResolvers<T>()
  return { passed: promise, pass: resolve }
}

describe('retries', () => {
  it('run a transaction again when it was chosen as the victim of a deadlock', async () => {
    const db = make()
    const meet = [gate(), gate()] as const
    let runs = 0
    const move = (from: number, to: number, mine: number): Promise<void> =>
      db.tx(async (tx) => {
        runs++
        await tx.query('update accounts set balance = balance - 1 where id = $1', [from])
        meet[mine]!.pass()
        await meet[1 - mine]!.passed
        await tx.query('update accounts set balance = balance + 1 where id = $1', [to])
      })
    await Promise.all([move(1, 2, 0), move(2, 1, 1)])
    expect(runs).toBe(3)
    expect([await balance(1), await balance(2)]).toEqual([100, 100])
  })

  it('run a serializable transaction again, and afterCommit of the failed attempt is forgotten', async () => {
    const db = make()
    const read = gate()
    const written = gate()
    const called: number[] = []
    let runs = 0
    const first = db.tx(
      async (tx) => {
        const run = ++runs
        tx.afterCommit(() => called.push(run))
        const { rows } = await tx.query<{ balance: number }>('select balance from accounts where id = 1', [])
        read.pass()
        await written.passed
        await tx.query('update accounts set balance = $1 where id = 1', [rows[0]!.balance + 1])
      },
      { isolation: 'repeatable read' },
    )
    await read.passed
    await server.admin('update accounts set balance = balance + 10 where id = 1')
    written.pass()
    await first
    expect([runs, called, await balance(1)]).toEqual([2, [2], 111])
  })

  it('give up with db.conflict after the attempts that were asked for', async () => {
    const db = make()
    let runs = 0
    const outcome = db.tx(
      async (tx) => {
        runs++
        await tx.query(`do $$ begin raise sqlstate '40001'; end $$`, [])
      },
      { attempts: 2 },
    )
    expect([await code(outcome), runs]).toEqual(['db.conflict', 2])
  })
})

describe('a lost connection', () => {
  it('in the middle of a transaction fails it, takes everything back, and the pool goes on', async () => {
    const db = make({ max: 1 })
    let runs = 0
    const outcome = db.tx(async (tx) => {
      runs++
      await tx.query('update accounts set balance = 0 where id = 1', [])
      await terminate(await pidOf(tx))
      await tx.query('update accounts set balance = 0 where id = 2', [])
    })
    expect(await code(outcome)).toBe('db.unavailable')
    expect([runs, await balance(1)]).toEqual([1, 100])
    expect((await db.query('select 1 as one', [])).rows).toEqual([{ one: 1 }])
  })

  it('during COMMIT is told as an unknown outcome and never tried again', async () => {
    const db = make()
    await server.admin(`create table slow (id int);
      create function wait_a_bit() returns trigger language plpgsql as $$ begin perform pg_sleep(30); return null; end $$;
      create constraint trigger slow_commit after insert on slow deferrable initially deferred for each row execute function wait_a_bit()`)
    let runs = 0
    const tx = db.tx(async (t) => {
      runs++
      await t.query('insert into slow values (1)', [])
    })
    const caught = code(tx)
    await terminate(await waitingFor(`wait_event = 'PgSleep'`))
    expect([await caught, runs]).toEqual(['db.commit_unknown', 1])

    const pipeline = code(db.pipeline([{ text: 'insert into slow values (1)' }]))
    await terminate(await waitingFor(`wait_event = 'PgSleep'`))
    expect(await pipeline).toBe('db.commit_unknown')
  })

  it('while idle in the pool is noticed and costs no query', async () => {
    const db = make({ max: 1 })
    const events: DbConnectionEvent[] = []
    const hear = (event: unknown): void => void events.push(event as DbConnectionEvent)
    const lost = gate()
    const wait = (event: unknown): void => void ((event as DbConnectionEvent).kind === 'lost' && lost.pass())
    connectionChannel.subscribe(hear)
    connectionChannel.subscribe(wait)
    await terminate(await pidOf(db))
    await lost.passed
    connectionChannel.unsubscribe(hear)
    connectionChannel.unsubscribe(wait)
    expect(events.map((event) => event.kind)).toContain('lost')
    expect((await db.query('select 1 as one', [])).rows).toEqual([{ one: 1 }])
  })

  it('of the listener comes back by itself, with its channels and a word about the gap', async () => {
    const db = make()
    const gap = gate()
    const other = gate()
    const heard = gate<string>()
    await db.listen(
      'alpha',
      (payload) => heard.pass(payload),
      () => gap.pass(),
    )
    await db.listen(
      'beta',
      () => undefined,
      () => other.pass(),
    )
    await terminate(await waitingFor(`application_name = 'tsforge listen'`))
    await Promise.all([gap.passed, other.passed])
    await db.notify('alpha', 'after the gap')
    expect(await heard.passed).toBe('after the gap')
    expect(
      await server.admin(
        `select count(*)::int as n from pg_stat_activity where datname = current_database() and application_name = 'tsforge listen'`,
      ),
    ).toEqual([{ n: 1 }])
    await db.close()
  })
})

describe('the pool', () => {
  it('refuses after its wait limit with 503 and a time to come back, and recovers', async () => {
    const db = make({ max: 1, poolWaitMs: 300 })
    // A connection takes its time to come, for which the limit is too short.
    while ((await code(db.query('select 1', []))) !== undefined);
    const error: { code?: string; status?: number; retryAfterMs?: number } = await db.tx(async (tx) => {
      await tx.query('select 1', [])
      return db.query('select 1', []).then(
        () => ({}),
        (caught: object) => caught,
      )
    })
    expect(error).toMatchObject({ code: 'db.pool_exhausted', status: 503, retryAfterMs: 1000 })
    expect((await db.query('select 1 as one', [])).rows).toEqual([{ one: 1 }])
  })

  it('sends its limits and its name when it connects', async () => {
    const db = make({
      statementTimeoutMs: 12_345,
      lockTimeoutMs: 5678,
      idleInTransactionTimeoutMs: 89_012,
      applicationName: 'shop',
    })
    const { rows } = await db.query(
      `select current_setting('statement_timeout') as s, current_setting('lock_timeout') as l, current_setting('idle_in_transaction_session_timeout') as i, current_setting('application_name') as n`,
      [],
    )
    expect(rows).toEqual([{ s: '12345ms', l: '5678ms', i: '89012ms', n: 'shop' }])
  })

  it('names statements that run too long and locks that are waited for too long', async () => {
    expect(await code(make({ statementTimeoutMs: 50 }).query('select pg_sleep(30)', []))).toBe('db.timeout')
    const db = make({ lockTimeoutMs: 10 })
    const outcome = db.tx(async (tx) => {
      await tx.query('update accounts set balance = 1 where id = 1', [])
      return code(db.query('update accounts set balance = 2 where id = 1', []))
    })
    expect(await outcome).toBe('db.lock_timeout')
  })

  it('is renewed as a whole when the server turns read-only under it', async () => {
    const db = make({ max: 2 })
    const demoted = await Promise.all([db.connect(), db.connect()])
    for (const connection of demoted) {
      await connection.query('set default_transaction_read_only = on')
      connection.release()
    }
    const write = (id: number): Promise<unknown> => db.query('update accounts set balance = 5 where id = $1', [id])
    expect(await code(write(1))).toBe('db.read_only')
    // Both connections were to the old primary; neither may be used again.
    await Promise.all([write(1), write(2)])
    expect([await balance(1), await balance(2)]).toEqual([5, 5])
  })

  it('given live is used and left open', async () => {
    const pool = new pg.Pool({ connectionString: server.url, max: 2 })
    const db = make({ pool })
    expect((await db.query('select count(*) as n from accounts', [])).rows).toEqual([{ n: 2 }])
    await db.close()
    expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    await pool.end()
  })

  it('waits at start for a server that is late, and not for ever', async () => {
    let now = 0
    const waits: number[] = []
    const clock: Clock = {
      ...systemClock,
      monotonic: () => now,
      sleep: async (ms) => void (waits.push(ms), (now += ms)),
    }
    const db = make({ url: 'postgres://postgres@127.0.0.1:1/none', startTimeoutMs: 5000 }, clock)
    expect(await code(db.start())).toBe('db.unavailable')
    expect(waits.length).toBeGreaterThan(3)
    expect(now).toBeLessThan(8000)
  })

  it('does not wait for a database that does not exist', async () => {
    const db = make({ url: withDatabase(server.url, 'no_such_database') })
    expect(await code(db.start())).toBe('db.misconfigured')
  })
})

describe('prepared statements', () => {
  const kept = async (db: { query: Db['query'] }): Promise<number> =>
    (await db.query<{ n: number }>(`select count(*)::int as n from pg_prepared_statements where name like 'forge_%'`))
      .rows[0]!.n

  it('are kept from their second use, and no more than the limit', async () => {
    const db = make({ max: 1, preparedLimit: 3 })
    await db.query('select 1 as n', [])
    expect(await kept(db)).toBe(0)
    for (let i = 0; i < 10; i++)
      for (let round = 0; round < 3; round++) expect((await db.query(`select ${i} as n`, [])).rows).toEqual([{ n: i }])
    expect(await kept(db)).toBe(3)
  })

  it('are never kept when they are off', async () => {
    const db = make({ max: 1, preparedStatements: 'off' })
    for (let i = 0; i < 4; i++) await db.pipeline([{ text: 'select 1' }, { text: 'select 1' }])
    expect(await kept(db)).toBe(0)
  })

  it('survive a pooler that discards them behind our back', async () => {
    const db = make({ max: 1 })
    for (let i = 0; i < 3; i++) await db.query('select $1::int as n', [i])
    await db.query('deallocate all')
    expect((await db.query('select $1::int as n', [7])).rows).toEqual([{ n: 7 }])
    expect((await db.query('select $1::int as n', [8])).rows).toEqual([{ n: 8 }])
  })

  it('refuse to listen through a pooler without a direct URL', async () => {
    const db = make({ preparedStatements: 'off' })
    expect(db.capabilities).toMatchObject({ listen: false, prepared: false })
    expect(await code(db.listen('x', () => undefined))).toBe('db.listen_unsupported')
  })
})

describe('other people’s transactions', () => {
  it('fit wherever a queryable is taken', async () => {
    const client = new pg.Client({ connectionString: server.url })
    await client.connect()
    expect([isQueryable(client), isQueryable(make()), isQueryable({}), isQueryable(null)]).toEqual([
      true,
      true,
      false,
      false,
    ])
    const db = make()
    const heard = gate<string>()
    await db.listen('theirs', (payload) => heard.pass(payload))
    await client.query('begin')
    await db.notify('theirs', 'from a bare client', client)
    await client.query('commit')
    expect(await heard.passed).toBe('from a bare client')
    await client.end()
    await db.close()
  })
})

describe('what is told', () => {
  it('names statements and outcomes, and never a value', async () => {
    const db = make()
    const said: (DbQueryEvent | DbTxEvent)[] = []
    const hear = (event: unknown): void => void said.push(event as DbQueryEvent)
    queryChannel.subscribe(hear)
    txChannel.subscribe(hear)
    await db.query('select $1::text as secret', ['hunter2'])
    await db.tx((tx) => tx.query('update accounts set balance = $1 where id = 1', [4242]))
    await db.query('select $1::int', ['x4242']).catch(() => undefined)
    queryChannel.unsubscribe(hear)
    txChannel.unsubscribe(hear)
    expect(said).toMatchObject([
      { target: 'primary', text: 'select $1::text as secret', rowCount: 1, error: undefined },
      { text: 'update accounts set balance = $1 where id = 1', rowCount: 1 },
      { outcome: 'committed', attempt: 1 },
      { text: 'select $1::int', error: 'db.invalid_value' },
    ])
    expect(JSON.stringify(said)).not.toMatch(/hunter2|4242/)
  })
})
