import type { Queryable } from '../../primitives/db/index.ts'
import { blank } from './throttle-policy.ts'
import type { Tally } from './throttle-policy.ts'

interface Row {
  readonly key: string
  readonly failures: number
  readonly lastAt: Date | null
  readonly succeededAt: Date | null
}

const columns = `key, failures, last_at as "lastAt", succeeded_at as "succeededAt"`

/** Tallies in the order of `keys`. */
export async function readTallies(db: Queryable, keys: readonly string[]): Promise<Tally[]> {
  const { rows } = await db.query<Row>(`select ${columns} from forge_accounts_throttles where key = any($1::text[])`, [
    keys,
  ])
  return inOrder(keys, rows)
}

/** Creates what is missing and locks all rows, always in the order of `keys`, so that two callers cannot deadlock. */
export async function lockTallies(tx: Queryable, keys: readonly string[], expiresAt: Date): Promise<Tally[]> {
  const { rows } = await tx.query<Row>(
    `insert into forge_accounts_throttles (key, expires_at)
     select v.key, $2::timestamptz from unnest($1::text[]) with ordinality as v (key, n) order by v.n
     on conflict (key) do update set key = excluded.key
     returning ${columns}`,
    [keys, expiresAt],
  )
  return inOrder(keys, rows)
}

/** Writes new counts to rows that the transaction has locked. */
export async function writeFailures(
  tx: Queryable,
  keys: readonly string[],
  failures: readonly number[],
  now: Date,
  expiresAt: Date,
): Promise<void> {
  await tx.query(
    `update forge_accounts_throttles t
     set failures = v.failures, last_at = $3, expires_at = greatest(t.expires_at, $4)
     from unnest($1::text[], $2::int[]) as v (key, failures) where t.key = v.key`,
    [keys, failures, now, expiresAt],
  )
}

/**
 * Takes back one counted attempt of each key; where `succeeded` names one of them, forgets its failures and
 * remembers the success.
 */
export async function takeBack(
  tx: Queryable,
  keys: readonly string[],
  now: Date,
  expiresAt: Date,
  succeeded = '',
): Promise<void> {
  await tx.query(
    `insert into forge_accounts_throttles as t (key, expires_at)
     select v.key, $3::timestamptz from unnest($1::text[]) with ordinality as v (key, n) order by v.n
     on conflict (key) do update set
       failures = case when t.key = $4 then 0 else greatest(t.failures - 1, 0) end,
       succeeded_at = case when t.key = $4 then $2 else t.succeeded_at end,
       expires_at = case when t.key = $4 then greatest(t.expires_at, excluded.expires_at) else t.expires_at end`,
    [keys, now, expiresAt, succeeded],
  )
}

/** Remembers a success of a pair that nobody has counted an attempt for (registration). */
export async function rememberSuccess(tx: Queryable, key: string, now: Date, expiresAt: Date): Promise<void> {
  await tx.query(
    `insert into forge_accounts_throttles as t (key, succeeded_at, expires_at) values ($1, $2, $3)
     on conflict (key) do update set failures = 0, succeeded_at = excluded.succeeded_at,
       expires_at = greatest(t.expires_at, excluded.expires_at)`,
    [key, now, expiresAt],
  )
}

export async function sweepThrottles(db: Queryable, now: Date, limit: number): Promise<number> {
  const { rowCount } = await db.query(
    `delete from forge_accounts_throttles where key in (
       select key from forge_accounts_throttles where expires_at < $1 limit $2 for update skip locked)`,
    [now, limit],
  )
  return rowCount ?? 0
}

function inOrder(keys: readonly string[], rows: readonly Row[]): Tally[] {
  return keys.map((key) => {
    const row = rows.find((candidate) => candidate.key === key)
    if (row === undefined) return blank
    return {
      failures: row.failures,
      lastAt: row.lastAt?.getTime() ?? null,
      succeededAt: row.succeededAt?.getTime() ?? null,
    }
  })
}
