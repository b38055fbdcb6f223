import type { Algorithm } from '../../driver.ts'

/**
 * Each call is one statement: the row is locked by ON CONFLICT, time is the server's. What is read before the lock is
 * had (`now`) may only be older than the truth, which makes a call stricter, never looser. A refused call writes nothing.
 */

const nowQ = '(extract(epoch from clock_timestamp()) * 4000000)::bigint'
const nowMs = '(extract(epoch from clock_timestamp()) * 1000)::bigint'

/** How far the row was ahead; further than its depth only because the clock was set back. */
const aheadQ = 'least(greatest(c.until_q - excluded.seen_q, 0), $4::bigint)'
const room = (ahead: string): string => `(($4::bigint - ${ahead}) / $3::bigint)`
/** `leaseSize` in SQL, with $2 the need and $5 what is wanted. */
const size = (left: string): string =>
  `greatest(0, least(${left}, greatest($2::bigint, least($5::bigint, floor((${left} - $4::numeric / $3 / 5) / 8)::bigint))))`

/**
 * $1 key, $2 need, $3 interval, $4 depth (both in quarters of a microsecond), $5 want, $6 the least that is taken at
 * all. One row: what was granted, how far the key is ahead in quarters, and now. None: somebody else has just used up a
 * new key.
 */
export const takeStatement: string = `with moment as materialized (select ${nowQ} as now),
taken as (
  insert into forge_ratelimit_cells as c (key, until_q, seen_q, granted)
  select $1, now + ${size(room('0'))} * $3::bigint, now, ${size(room('0'))} from moment
  on conflict (key) do update set
    until_q = excluded.seen_q + ${aheadQ} + ${size(room(aheadQ))} * $3::bigint,
    seen_q = excluded.seen_q,
    granted = ${size(room(aheadQ))}
  where ${size(room(aheadQ))} >= $6::bigint
  returning granted, until_q - seen_q as ahead, seen_q
)
select granted::float8, ahead::float8, seen_q::text as now from taken
union all
select 0, least(greatest(c.until_q - now, 0), $4::bigint)::float8, now::text
from forge_ratelimit_cells c, moment where c.key = $1 and not exists (select from taken)`

export const peekStatement: string = `select least(greatest(until_q - ${nowQ}, 0), $2::bigint)::float8 as ahead
from forge_ratelimit_cells where key = $1`

/** $1 key, $2 quarters of a microsecond, $3 when they were taken, $4 for how long they may come back. */
export const giveBackStatement: string = `update forge_ratelimit_cells set until_q = until_q - $2::bigint
where key = $1 and ${nowQ} - $3::bigint <= $4::bigint`

export const resetStatements: Readonly<Record<Algorithm, string>> = {
  gcra: 'delete from forge_ratelimit_cells where key = $1',
  sliding: 'delete from forge_ratelimit_windows where key = $1',
}

/** What the row counts now, as seen from the window of `excluded`. A clock that was set back stays in the row's window. */
const spent = 'case when w.number >= excluded.number then w.spent else 0 end'
const before = `case when w.number >= excluded.number then w.before when w.number = excluded.number - 1 then w.spent else 0 end`
const weight = `(${spent}) + (${before}) * (1 - excluded.elapsed_ms::float8 / $2::bigint)`

/** $1 key, $2 window in milliseconds, $3 limit, $4 cost. Answers whether it was allowed, and the windows. */
export const slidingStatement: string = `with moment as materialized (select ${nowMs} as now),
taken as (
  insert into forge_ratelimit_windows as w (key, number, spent, before, elapsed_ms, window_ms)
  select $1, now / $2::bigint, $4::bigint, 0, now % $2::bigint, $2::bigint from moment
  on conflict (key) do update set
    number = greatest(w.number, excluded.number),
    spent = (${spent}) + $4::bigint,
    before = ${before},
    elapsed_ms = excluded.elapsed_ms
  where ${weight} + $4::bigint <= $3::bigint
  returning spent, before, elapsed_ms
)
select true as allowed, spent::float8, before::float8, elapsed_ms::float8 as elapsed from taken
union all
select false, w.spent::float8, w.before::float8, (now - w.number * $2::bigint)::float8
from forge_ratelimit_windows w, moment where w.key = $1 and not exists (select from taken)`

export const slidingPeekStatement: string = `select spent::float8, before::float8, (${nowMs} - number * $2::bigint)::float8 as elapsed
from forge_ratelimit_windows where key = $1`

/** $1 key, $2 holder, $3 lease, $4 limit. */
export const acquireStatement: string = `with moment as materialized (select ${nowMs} as now),
taken as (
  insert into forge_ratelimit_places as p (key, holders, seen_ms)
  select $1, jsonb_build_object($2::text, now + $3::bigint), now from moment
  on conflict (key) do update set
    holders = (select coalesce(jsonb_object_agg(h.key, h.value), '{}') from jsonb_each(p.holders) h
      where h.value::bigint > excluded.seen_ms) || excluded.holders,
    seen_ms = excluded.seen_ms
  where (select count(*) from jsonb_each(p.holders) h
    where h.value::bigint > excluded.seen_ms and h.key <> $2) < $4::bigint
  returning holders
)
select true as allowed, held.count::float8 as held, (held.last - now)::float8 as reset from taken, moment,
  lateral (select count(*), max(h.value::bigint) as last from jsonb_each(holders) h) held
union all
select false, held.count::float8, (held.last - now)::float8 from forge_ratelimit_places p, moment,
  lateral (select count(*), max(h.value::bigint) as last from jsonb_each(p.holders) h where h.value::bigint > now) held
where p.key = $1 and not exists (select from taken)`

/** $1 key, $2 holders, $3 lease. Answers those who still held their places. */
export const renewStatement: string = `update forge_ratelimit_places p
set holders = p.holders || (select coalesce(jsonb_object_agg(h, moment.now + $3::bigint), '{}')
  from unnest($2::text[]) h where (p.holders ->> h)::bigint > moment.now)
from (select ${nowMs} as now) moment
where p.key = $1
returning array(select h from unnest($2::text[]) h where (p.holders ->> h)::bigint > moment.now) as held`

export const releaseStatement: string = 'update forge_ratelimit_places set holders = holders - $2::text where key = $1'

const sweep = (table: string, gone: string): string => `delete from ${table} where ctid = any(array(
  select ctid from ${table} where ${gone} limit 5000 for update skip locked))`

/** Rows that say nothing any more, some thousand at a time. */
export const sweepStatements: readonly string[] = [
  sweep('forge_ratelimit_cells', `until_q < ${nowQ}`),
  sweep('forge_ratelimit_windows', `(number + 2) * window_ms < ${nowMs}`),
  sweep('forge_ratelimit_places', `not exists (select from jsonb_each(holders) h where h.value::bigint > ${nowMs})`),
]
