import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { setTimeout as turn } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../../kernel/clock.ts'
import { createContext, runWithContext } from '../../../kernel/context.ts'
import { createFakeClock } from '../../../testing/clock.ts'
import { createDb } from '../db.ts'
import type { Db } from '../db.ts'
import { postgres } from '../drivers/postgres.ts'
import type { PostgresOptions } from '../drivers/postgres.ts'
import { Listener } from '../pg/listener.ts'
import { testServer } from './servers.ts'
import type { TestServer } from './servers.ts'

let server: TestServer
beforeAll(async () => {
  server = await testServer('disturbed')
  await server.admin('create table counters (value int not null)')
  await server.admin('insert into counters values (0)')
}, 180_000)
afterAll(() => server.close())

function open(options: Partial<PostgresOptions> = {}): Db & AsyncDisposable {
  const db = createDb(postgres({ url: server.url, ...options }))
  return Object.assign(db, { [Symbol.asyncDispose]: () => db.close() })
}

const code = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'done',
    (error: { code?: unknown }) => error.code ?? error,
  )

async function cut(where: string): Promise<void> {
  while (
    (
      await server.admin(
        `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and pid <> pg_backend_pid() and ${where}`,
      )
    ).length === 0
  )
    await turn(1)
}

describe('a connection that is lost', () => {
  it('under a single statement leaves a read as failed and a write as unknown', async () => {
    await using db = open()
    const read = code(db.query('select pg_sleep(60) as reading', []))
    await cut(`state = 'active' and query like '%as reading%'`)
    expect(await read).toBe('db.unavailable')
    const write = code(db.query(`update counters set value = value + 1 where pg_sleep(60) is not null`, []))
    await cut(`state = 'active' and query like 'update counters%'`)
    expect(await write).toBe('db.commit_unknown')
    expect((await db.query('select value from counters', [])).rows).toEqual([{ value: 0 }])
  })

  it('and leads back to a server that cannot listen, such as a standby, is given up until one can', async () => {
    const standby = await deafServer()
    const directions: object[] = []
    const real = { connectionString: server.url, application_name: 'ears' }
    // There, away to the standby twice, and back.
    const listener = new Listener(() => {
      const next = directions.length === 1 || directions.length === 2 ? standby.config : real
      directions.push(next)
      return next
    }, systemClock)
    const heard: string[] = []
    const { promise: gap, resolve: onGap } = Promise.withResolvers<void>()
    await listener.listen('news', ({ payload }) => void heard.push(payload), onGap)
    await cut(`application_name = 'ears'`)
    await gap
    expect(directions).toEqual([real, standby.config, standby.config, real])
    await server.admin(`select pg_notify('news', 'hello')`)
    while (heard.length === 0) await turn(1)
    expect(heard).toEqual(['hello'])
    await listener.close()
    await standby.close()
  })
})

describe('one kind of work that holds its connections for long', () => {
  const asKind = <T>(kind: object, work: () => Promise<T>): Promise<T> =>
    runWithContext(createContext({ requestId: 'test', kind }), work)

  it('leaves some of the pool to every other', async () => {
    const clock = createFakeClock()
    await using db = open({ max: 5, poolWaitMs: 30_000, clock })
    const greedy = {}
    const { promise: released, resolve: release } = Promise.withResolvers<void>()
    const held = Array.from({ length: 9 }, () =>
      asKind(greedy, () =>
        code(
          db.tx(async (tx) => {
            await tx.query('select 1', [])
            await released
          }),
        ),
      ),
    )
    // The last five of the nine find no place for their kind, and are told so.
    const refused: unknown[] = []
    for (const each of held) void each.then((outcome) => refused.push(outcome))
    while (refused.length < 5) {
      await clock.advance(1000)
      await turn(1)
    }
    expect(refused).toEqual(Array.from({ length: 5 }, () => 'db.pool_exhausted'))
    expect(await asKind({}, () => code(db.query('select 1', [])))).toBe('done')
    expect(await code(db.query('select 1', []))).toBe('done')
    release()
    await Promise.all(held)
    // Every place has been given back: the kind may take as many again, one after the other and at once.
    for (let round = 0; round < 3; round++) {
      const again = Array.from({ length: 8 }, () => asKind(greedy, () => code(db.query('select 1', []))))
      expect(new Set(await Promise.all(again))).toEqual(new Set(['done']))
    }
  })
})

/** Lets everybody in and refuses every statement. */
async function deafServer(): Promise<{ readonly config: object; close(): Promise<void> }> {
  const message = (type: string, body: Buffer): Buffer => {
    const head = Buffer.alloc(5)
    head.write(type, 0, 'latin1')
    head.writeInt32BE(body.length + 4, 1)
    return Buffer.concat([head, body])
  }
  const ready = message('Z', Buffer.from('I'))
  const refusal = message(
    'E',
    Buffer.from('SERROR\0VERROR\0C25006\0Mcannot execute LISTEN during recovery\0\0', 'latin1'),
  )
  const deaf = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.once('data', () => {
      socket.write(Buffer.concat([message('R', Buffer.alloc(4)), ready]))
      socket.on(
        'data',
        (sent) => void (sent[0] === 0x58 ? socket.end() : socket.write(Buffer.concat([refusal, ready]))),
      )
    })
  })
  await new Promise<void>((listening) => deaf.listen(0, '127.0.0.1', listening))
  const config = {
    host: '127.0.0.1',
    port: (deaf.address() as AddressInfo).port,
    user: 'postgres',
    database: 'x',
    ssl: false,
  }
  return { config, close: () => new Promise((closed) => void deaf.close(() => closed())) }
}
