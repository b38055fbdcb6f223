/** Milliseconds left of `expires_at`; null: for ever. */
const left = `case when expires_at = 'infinity' then null else extract(epoch from expires_at - clock_timestamp()) * 1000 end as left_ms`

/** Every tag as it was when the entry was stored. */
const tagsHold = `not exists (
  select from unnest(e.tags, e.versions) as held (address, version)
  left join forge_cache_tags t on t.address = held.address
  where t.version is distinct from held.version)`

/** $1 addresses. */
export const read: string = `select address, value, ${left} from forge_cache_entries e
where address = any($1::text[]) and expires_at > clock_timestamp() and ${tagsHold}`

/**
 * $1 address, $2 value, $3 life in milliseconds or null, $4 tags, $5 when the load began, by the clock of `time`, or null for
 * what was not loaded. No row: a tag is missing or will end before the entry, or was invalidated since.
 */
export const write = `with held as (
  select address, version from forge_cache_tags
  where address = any($4::text[]) and expires_at >= clock_timestamp() + make_interval(secs => coalesce($3::float8, 0) / 1000)
    and ($5::float8 is null or invalidated_at < to_timestamp($5::float8 / 1000))
), list as (
  select coalesce(array_agg(address), '{}') as tags, coalesce(array_agg(version), '{}') as versions, count(*) as n from held
)
insert into forge_cache_entries (address, value, tags, versions, expires_at)
select $1, $2, tags, versions, case when $3::float8 is null then 'infinity' else clock_timestamp() + make_interval(secs => $3::float8 / 1000) end
from list where n = cardinality($4::text[])
on conflict (address) do update
set value = excluded.value, tags = excluded.tags, versions = excluded.versions, expires_at = excluded.expires_at
returning 1`

/** Milliseconds since 1970. */
export const time = `select (extract(epoch from clock_timestamp()) * 1000)::float8 as now_ms`

/** $1 tags in order (or two writers would wait for each other), $2 least life in milliseconds. */
export const makeTags = `insert into forge_cache_tags (address, expires_at)
select address, clock_timestamp() + make_interval(secs => 2 * $2::float8 / 1000 + 3600) from unnest($1::text[]) as wanted (address)
order by address
on conflict (address) do update set
  expires_at = greatest(forge_cache_tags.expires_at, excluded.expires_at),
  version = case when forge_cache_tags.expires_at < clock_timestamp() then excluded.version else forge_cache_tags.version end`

/** $1 tags in order. */
export const invalidate = `insert into forge_cache_tags (address, invalidated_at, expires_at)
select address, clock_timestamp(), clock_timestamp() + interval '1 hour' from unnest($1::text[]) as wanted (address)
order by address
on conflict (address) do update set
  version = excluded.version,
  invalidated_at = excluded.invalidated_at,
  expires_at = greatest(forge_cache_tags.expires_at, excluded.expires_at)`

/** $1 addresses. */
export const remove = `with gone as (
  delete from forge_cache_entries where address = any($1::text[]) returning expires_at > clock_timestamp() as there
) select count(*) filter (where there)::int as there from gone`

const text = `encode(e.value, 'escape')`
/** The stored number; null for anything else. */
const number = `case when octet_length(e.value) <= 17 and ${text} ~ '^-?[0-9]+$' then ${text}::numeric end`
const over = `e.expires_at <= clock_timestamp()`

/** $1 address, $2 step, $3 life in milliseconds or null. No row: no counter, or the sum is too large. */
export const increment: string = `insert into forge_cache_entries as e (address, value, expires_at)
values ($1, convert_to($2::bigint::text, 'UTF8'), case when $3::float8 is null then 'infinity' else clock_timestamp() + make_interval(secs => $3::float8 / 1000) end)
on conflict (address) do update set
  value = case when ${over} then excluded.value else convert_to((${number} + $2::bigint)::text, 'UTF8') end,
  tags = '{}', versions = '{}',
  expires_at = case when ${over} then excluded.expires_at else e.expires_at end
where ${over} or abs(${number} + $2::bigint) <= 9007199254740991
returning encode(value, 'escape') as sum`

/** $1 first address, $2 the one behind the last. */
export const clearRange = `delete from forge_cache_entries where address >= $1 and address < $2`
export const clearAll = `delete from forge_cache_entries`

/** $1 address, $2 token, $3 lease in milliseconds. */
export const lock = `insert into forge_cache_locks as l (address, token, expires_at)
values ($1, $2, clock_timestamp() + make_interval(secs => $3::float8 / 1000))
on conflict (address) do update set token = excluded.token, expires_at = excluded.expires_at
where l.token = excluded.token or l.expires_at <= clock_timestamp()
returning 1`
export const unlock = `delete from forge_cache_locks where address = $1 and token = $2`

/** One batch of what has expired; several processes do not wait for each other. $1 most rows. */
export function sweep(table: 'entries' | 'tags' | 'locks'): string {
  return `delete from forge_cache_${table} where address in (
  select address from forge_cache_${table} where expires_at < clock_timestamp()
  order by expires_at limit $1 for update skip locked)`
}
