import { PassThrough } from 'node:stream'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createDb } from './db.ts'
import type { Db, Tx } from './db.ts'
import type { DbDriver } from './driver.ts'
import { dbErrors } from './errors.ts'
import { violatedUnique } from './faults.ts'

export interface DbContract {
  readonly name: string
  /** A driver on a database where the contract may make and drop tables called `contract_…`. The contract closes it. */
  create(): DbDriver | Promise<DbDriver>
}

const unsendable = {
  toJSON: () => {
    throw new TypeError('no')
  },
}

/** The exam of a database driver, and of the facade over it. Call it in a vitest file of your own. */
export function dbContract({ name, create }: DbContract): void {
  describe(`database contract: ${name}`, () => {
    let driver: DbDriver
    let db: Db

    beforeAll(async () => {
      driver = await create()
      db = createDb(driver)
      await db.start()
      await db.query('drop table if exists contract_items cascade')
      await db.query(
        'create table contract_items (id int primary key, label text unique, size int check (size > 0), note varchar(5))',
      )
    }, 300_000)
    beforeEach(() => db.query('truncate contract_items').then(() => undefined))
    afterAll(async () => {
      await db.query('drop table if exists contract_items cascade')
      await db.close()
    })

    const insert = 'insert into contract_items (id, label) values ($1, $2)'
    const ids = async (): Promise<number[]> =>
      (await db.query<{ id: number }>('select id from contract_items order by id', [])).rows.map((row) => row.id)
    const code = (work: Promise<unknown>): Promise<unknown> =>
      work.then(
        () => undefined,
        (error: { code?: unknown }) => error.code ?? error,
      )

    /** A transaction that does its work and then fails. */
    const undone = (work: (tx: Tx) => Promise<unknown>): Promise<void> =>
      db.tx((tx) => work(tx).then(() => Promise.reject(new Error('undone')))).catch(() => undefined)

    describe('values', () => {
      it('reads int8 as a number while it is exact and as a bigint beyond', async () => {
        const { rows } = await db.query(
          `select 9007199254740991::int8 as safe, 9007199254740993::int8 as big, count(*) as count, array[1, null]::int8[] as list`,
          [],
        )
        expect(rows).toEqual([{ safe: 9007199254740991, big: 9007199254740993n, count: 1, list: [1, null] }])
      })

      it('reads instants as Date and calendar dates as the text that was stored', async () => {
        const { rows } = await db.query(
          `select timestamptz '2026-03-01 00:30:00+07' as at, date '2026-03-01' as day, timestamp '2026-03-01 02:30' as local, numeric '1.10' as price`,
          [],
        )
        expect(rows).toEqual([
          { at: new Date('2026-02-28T17:30:00Z'), day: '2026-03-01', local: '2026-03-01 02:30:00', price: '1.10' },
        ])
      })

      it('sends each kind of value and reads it back', async () => {
        const values = [null, true, 'ünï \u{1F600}', 1.5, Buffer.from([0, 255]), { a: [1] }, ['x', null], new Date(0)]
        const { rows } = await db.query(
          'select $1::text a, $2::bool b, $3::text c, $4::float8 d, $5::bytea e, $6::jsonb f, $7::text[] g, $8::timestamptz h',
          values,
        )
        expect(Object.values(rows[0]!)).toEqual(values)
      })

      it('runs a script of several statements when it is given no values', async () => {
        const { rows } = await db.query(
          `insert into contract_items (id) values (1); insert into contract_items (id) values (2); select count(*) as n from contract_items`,
        )
        expect(rows).toEqual([{ n: 2 }])
      })

      it('counts the rows that a write affected', async () => {
        await db.pipeline([1, 2, 3].map((id) => ({ text: insert, values: [id, null] })))
        expect((await db.query('update contract_items set size = 1 where id > $1', [1])).rowCount).toBe(2)
      })
    })

    describe('errors', () => {
      it('are values of the catalogue, and the constraint is known to code but not in the message', async () => {
        await db.query(insert, [1, 'a'])
        const error = await db.query(insert, [2, 'a']).catch((caught: unknown) => caught)
        expect(dbErrors.is(error, 'db.unique_violation')).toBe(true)
        expect(violatedUnique(error)).toBe('contract_items_label_key')
        expect(JSON.stringify([(error as Error).message, (error as { meta?: unknown }).meta ?? null])).not.toContain(
          'contract_items',
        )
      })

      it.each([
        ['insert into contract_items (id, size) values (1, 0)', [], 'db.check_violation'],
        ['insert into contract_items (id) values (null)', [], 'db.not_null_violation'],
        ['insert into contract_items (id, note) values (1, $1)', ['longer'], 'db.value_too_long'],
        ['select $1::uuid', ['no-uuid'], 'db.invalid_value'],
        ['select $1::int', ['99999999999'], 'db.out_of_range'],
        ['select $1::text', ['nul \0 inside'], 'db.invalid_value'],
        ['select nothing from nowhere', [], 'db.query_failed'],
      ])('%s fails with its code, and the next statement works', async (text, values, expected) => {
        expect(await code(db.query(text, [...values]))).toBe(expected)
        expect((await db.query('select 1 as one', [])).rows).toEqual([{ one: 1 }])
      })

      it('names a value that cannot be sent as a failed statement, not as a lost database', async () => {
        expect(await code(db.query('select $1::jsonb', [unsendable]))).toBe('db.query_failed')
      })
    })

    describe('kept statements', () => {
      it('follow a table that changes its shape', async () => {
        const text = 'select * from contract_items'
        for (let i = 0; i < 4; i++) await Promise.all([db.query(text, []), db.query(text, [])])
        await db.query('alter table contract_items add column extra int default 7')
        await db.query(insert, [1, 'a'])
        expect((await db.query(text, [])).rows).toEqual([{ id: 1, label: 'a', size: null, note: null, extra: 7 }])
        expect((await db.tx((tx) => tx.query(text, []))).rows).toHaveLength(1)
        await db.query('alter table contract_items drop column extra')
        expect(Object.keys((await db.query(text, [])).rows[0]!)).not.toContain('extra')
      })

      it('give the same rows on first and later uses, also in one flush', async () => {
        const statement = { text: 'select $1::int as n, $2::text as t', values: [1, 'x'] }
        for (let i = 0; i < 3; i++) {
          const results = await db.pipeline([statement, statement, statement])
          expect(results.map((result) => result.rows[0])).toEqual(Array.from({ length: 3 }, () => ({ n: 1, t: 'x' })))
        }
      })
    })

    describe('transactions', () => {
      it('commit what resolved and take back what threw', async () => {
        await db.tx((tx) => tx.query(insert, [1, 'a']))
        await expect(
          db.tx(async (tx) => {
            await tx.query(insert, [2, 'b'])
            throw new Error('no')
          }),
        ).rejects.toThrow('no')
        expect(await ids()).toEqual([1])
      })

      it('refuse to resolve when a failure inside was swallowed, since nothing was saved', async () => {
        const outcome = db.tx(async (tx) => {
          await tx.query(insert, [1, 'a'])
          await tx.query(insert, [1, 'a']).catch(() => undefined)
        })
        expect(await code(outcome)).toBe('db.tx_failed')
        expect(await ids()).toEqual([])
      })

      it('cannot be used after their end', async () => {
        let kept: { query(text: string): Promise<unknown> } | undefined
        await db.tx(async (tx) => void (kept = tx))
        expect(await code(kept!.query('select 1'))).toBe('db.tx_closed')
      })

      it('run statements that are asked for at once one after the other', async () => {
        const results = await db.tx((tx) =>
          Promise.all([
            tx.query(insert, [1, 'a']),
            tx.query('select count(*) as n from contract_items', []),
            tx.query(insert, [2, 'b']),
            tx.query('select count(*) as n from contract_items', []),
          ]),
        )
        expect(results.flatMap((result) => result.rows)).toEqual([{ n: 1 }, { n: 2 }])
      })

      it('leave no transaction behind when one of several statements at once fails', async () => {
        const outcome = db.tx((tx) =>
          Promise.all([tx.query(insert, [1, 'a']), tx.query('select 1/0', []), tx.query(insert, [2, 'b'])]),
        )
        expect(await code(outcome)).toBe('db.query_failed')
        expect(await ids()).toEqual([])
        await db.query(insert, [3, 'c'])
        expect(await ids()).toEqual([3])
      })

      it('refuse writes when they are read only, as a mistake of the caller', async () => {
        expect(await code(db.tx((tx) => tx.query(insert, [1, 'a']), { readOnly: true }))).toBe('db.read_only_tx')
        await db.query(insert, [1, 'a'])
      })

      it('run at the isolation that was asked for', async () => {
        const level = await db.tx((tx) => tx.query(`select current_setting('transaction_isolation') as level`, []), {
          isolation: 'serializable',
        })
        expect(level.rows).toEqual([{ level: 'serializable' }])
      })

      it('call afterCommit once it is committed and never when it is not; a hook that throws undoes nothing', async () => {
        const called: string[] = []
        await db.tx(async (tx) => {
          tx.afterCommit(() => called.push(`first`))
          tx.afterCommit(() => {
            throw new Error('hook')
          })
          // An async function passes for one that returns nothing.
          tx.afterCommit((() => Promise.reject(new Error('too late to matter'))) as () => void)
          tx.afterCommit(() => called.push('last'))
          await tx.query(insert, [1, 'a'])
          expect(called).toEqual([])
        })
        expect(called).toEqual(['first', 'last'])
        await undone(async (tx) => tx.afterCommit(() => called.push('never')))
        expect(called).toEqual(['first', 'last'])
      })

      it('survive a failure inside a savepoint', async () => {
        const called: string[] = []
        await db.tx(async (tx) => {
          await tx.query(insert, [1, 'a'])
          const failed = tx.savepoint(async (inner) => {
            inner.afterCommit(() => called.push('undone'))
            await inner.query(insert, [2, 'b'])
            await inner.savepoint((deeper) => deeper.query(insert, [3, 'c']))
            await inner.query(insert, [1, 'twice'])
          })
          expect(await code(failed)).toBe('db.unique_violation')
          await tx.savepoint(async (inner) => {
            inner.afterCommit(() => called.push('kept'))
            await inner.query(insert, [4, 'd'])
          })
        })
        expect(await ids()).toEqual([1, 4])
        expect(called).toEqual(['kept'])
      })

      it('refuse the outer transaction while a savepoint is open', async () => {
        const outcome = db.tx((tx) => tx.savepoint(() => tx.query(insert, [1, 'a'])))
        expect(await code(outcome)).toBe('db.savepoint_open')
      })
    })

    describe('pipelines', () => {
      const first = { text: insert, values: [1, 'a'] }
      const second = { text: insert, values: [2, 'b'] }
      it('answer each statement in order', async () => {
        const results = await db.pipeline([
          { text: insert, values: [1, 'a'] },
          { text: 'select label from contract_items' },
          { text: 'delete from contract_items' },
        ])
        expect(results.map((result) => [result.rowCount, result.rows])).toEqual([
          [1, []],
          [1, [{ label: 'a' }]],
          [1, []],
        ])
        expect(await db.pipeline([])).toEqual([])
      })

      it.each([
        ['a constraint', { text: insert, values: [1, 'again'] }, 'db.unique_violation'],
        ['a statement that cannot be parsed', { text: 'insert into contract_nothing values (1)' }, 'db.query_failed'],
        ['a value that the server refuses', { text: insert, values: ['x', 'b'] }, 'db.invalid_value'],
        ['a value that cannot be sent', { text: 'select $1::jsonb', values: [unsendable] }, 'db.query_failed'],
      ])(
        'take everything back when %s fails in the middle, and the connection stays usable',
        async (_, failing, expected) => {
          // Several times: with statements sent for the first time, and with kept ones.
          for (let round = 0; round < 3; round++) {
            const outcome = db.pipeline([first, failing, second])
            expect(await code(outcome)).toBe(expected)
            expect(await ids()).toEqual([])
          }
          await db.pipeline([first, second])
          expect(await ids()).toEqual([1, 2])
        },
      )

      it('take everything back when a deferred constraint refuses the commit', async () => {
        await db.query(
          'create table contract_children (parent int references contract_items deferrable initially deferred)',
        )
        const outcome = db.pipeline([first, { text: 'insert into contract_children values ($1)', values: [9] }])
        expect(await code(outcome)).toBe('db.foreign_key_violation')
        expect(await ids()).toEqual([])
        await db.query('drop table contract_children')
      })

      it('belong to the transaction that they run in', async () => {
        await undone((tx) => tx.pipeline([{ text: insert, values: [1, 'a'] }]))
        expect(await ids()).toEqual([])
      })

      it('keep apart when many run at once', async () => {
        const sums = await Promise.all(
          Array.from({ length: 40 }, (_, i) =>
            db.pipeline([
              { text: 'select $1::int as n', values: [i] },
              { text: 'select $1::int * 2 as n', values: [i] },
            ]),
          ),
        )
        expect(sums.map((results) => results.map((result) => result.rows[0]!['n']))).toEqual(
          Array.from({ length: 40 }, (_, i) => [i, i * 2]),
        )
      })
    })

    describe('connections', () => {
      it('never carry an open transaction to their next owner', async () => {
        const connection = await driver.connect()
        await connection.query('begin', [])
        await connection.query(insert, [1, 'a'])
        connection.release()
        expect(await ids()).toEqual([])
        await db.query(insert, [2, 'b'])
        expect(await ids()).toEqual([2])
      })

      it('may be released twice', async () => {
        const connection = await driver.connect()
        connection.release()
        connection.release()
        expect((await db.query('select 1 as one', [])).rows).toEqual([{ one: 1 }])
      })

      it('are used by many callers at once without mixing answers', async () => {
        const answers = await Promise.all(Array.from({ length: 60 }, (_, i) => db.query('select $1::int as n', [i])))
        expect(answers.map((answer) => answer.rows[0]!['n'])).toEqual(Array.from({ length: 60 }, (_, i) => i))
      })

      it('refuse a second one at once where there is only one, instead of waiting for ever', async () => {
        const outcome = db.tx(async (tx) => {
          await tx.query('select 1', [])
          return (await db.query('select 2 as two', [])).rows
        })
        const seen = await outcome.catch((error: { code?: unknown }) => error.code)
        expect(seen).toEqual(driver.capabilities.concurrent ? [{ two: 2 }] : 'db.nested_connection')
      })
    })

    describe('notifications', () => {
      it('arrive at each subscriber of their channel, whatever its name, until it leaves', async () => {
        if (!driver.capabilities.listen) return
        const channel = 'Contract "channel"'
        const first = createInbox()
        const second = createInbox()
        const leaveFirst = await db.listen(channel, first.put)
        const leaveSecond = await db.listen(channel, second.put)
        await db.notify(channel, 'one')
        expect(await Promise.all([first.take(), second.take()])).toEqual(['one', 'one'])
        await leaveFirst()
        await db.notify(channel, 'two')
        expect(await second.take()).toBe('two')
        expect(first.waiting()).toBe(0)
        await leaveSecond()
      })

      it('leave with the commit, and not at all with a rollback', async () => {
        if (!driver.capabilities.listen) return
        const inbox = createInbox()
        const leave = await db.listen('contract_tx', inbox.put)
        await undone((tx) => db.notify('contract_tx', 'never', tx))
        await db.tx((tx) => db.notify('contract_tx', 'committed', tx))
        expect(await inbox.take()).toBe('committed')
        await leave()
      })
    })
  })
}

/** Payloads in order of arrival; `take` waits for the next. */
function createInbox() {
  const stream = new PassThrough({ objectMode: true })
  const payloads = stream[Symbol.asyncIterator]() as AsyncIterator<string>
  return {
    put: (payload: string): void => void stream.write(payload),
    take: async (): Promise<unknown> => (await payloads.next()).value,
    waiting: (): number => stream.readableLength,
  }
}
