import type { Db, Queryable } from '../../../primitives/db/index.ts'
import type { Claim, IdempotencyDriver, NewClaim } from '../driver.ts'
import { idempotencyErrors } from '../errors.ts'

interface Row {
  readonly token: string
  readonly request: string
  readonly answer: string | null
  readonly leaseLeftMs: number
  readonly expired: boolean
}

// clock_timestamp(), not now(): inside of a transaction that one stands still.
const later = (parameter: string): string => `clock_timestamp() + ${parameter}::float8 * interval '1 millisecond'`

// Looks before it inserts: a conflict with a row that an open transaction has changed would wait for its end.
const insert = `insert into forge_idempotency_keys (id, token, request, lease_until, expires_at)
  select $1::text, $2::uuid, $3::text, ${later('$4')}, ${later('$5')}
  where not exists (select 1 from forge_idempotency_keys where id = $1)
  on conflict (id) do nothing`

const find = `select token, request, answer, expires_at <= clock_timestamp() as expired,
    (extract(epoch from lease_until - clock_timestamp()) * 1000)::float8 as "leaseLeftMs"
  from forge_idempotency_keys where id = $1`

/** Never waits behind a transaction that holds the row. */
const locked = (condition: string): string =>
  `(select id from forge_idempotency_keys where id = $1 and ${condition} for update skip locked)`

const dropExpired = `delete from forge_idempotency_keys where id = ${locked('expires_at <= clock_timestamp()')}`

const takeOver = `update forge_idempotency_keys
  set token = $3, request = $4, lease_until = ${later('$5')}, expires_at = ${later('$6')}
  where id = ${locked('token = $2 and answer is null and lease_until <= clock_timestamp()')}`

// A row that our own open transaction has locked is skipped, and still ours.
const extend = `with mine as ${locked('token = $2')}, beat as (
    update forge_idempotency_keys k set lease_until = ${later('$3')}, expires_at = greatest(k.expires_at, ${later('$3')})
    from mine where k.id = mine.id
  )
  select exists (select 1 from forge_idempotency_keys where id = $1 and token = $2) as held`

const settle = `update forge_idempotency_keys set answer = $3, expires_at = ${later('$4')} where id = $1 and token = $2`

const release = 'delete from forge_idempotency_keys where id = $1 and token = $2 and answer is null'

const sweep = `delete from forge_idempotency_keys where id in (
    select id from forge_idempotency_keys where expires_at <= clock_timestamp() order by expires_at limit $1
    for update skip locked
  )`

/** A key may expire, be swept and be taken again between two statements; more often than this it does not. */
const rounds = 5

/** Keys in PostgreSQL 14 or newer (or PGlite), in the app's own database, so that an answer can commit with its effect. */
export function postgres(db: Db): IdempotencyDriver {
  const run = async (on: Queryable, text: string, values: unknown[]): Promise<number> =>
    (await on.query(text, values)).rowCount ?? 0

  return {
    name: 'postgres',
    capabilities: { transactional: true, shared: true },
    async claim(id, { token, request, leaseMs, ttlMs }: NewClaim): Promise<Claim> {
      for (let round = 0; round < rounds; round++) {
        if ((await run(db, insert, [id, token, request, leaseMs, ttlMs])) === 1) return { state: 'claimed' }
        const row = (await db.query<Row>(find, [id])).rows[0]
        if (row === undefined) continue
        if (row.expired) await run(db, dropExpired, [id])
        else if (row.answer === null)
          return { state: 'running', request: row.request, token: row.token, leaseLeftMs: row.leaseLeftMs }
        else return { state: 'settled', request: row.request, answer: row.answer, leaseLeftMs: row.leaseLeftMs }
      }
      throw idempotencyErrors.error('idempotency.contended')
    },
    takeOver: async (id, former, { token, request, leaseMs, ttlMs }) =>
      (await run(db, takeOver, [id, former, token, request, leaseMs, ttlMs])) === 1,
    extend: async (id, token, leaseMs) =>
      (await db.query<{ held: boolean }>(extend, [id, token, leaseMs])).rows[0]?.held === true,
    settle: async (id, token, answer, ttlMs, tx = db) => (await run(tx, settle, [id, token, answer, ttlMs])) === 1,
    release: async (id, token) => void (await run(db, release, [id, token])),
    sweep: (limit) => run(db, sweep, [limit]),
    ping: async () => void (await db.query('select 1 from forge_idempotency_keys limit 1', [])),
    close: async () => {},
  }
}
