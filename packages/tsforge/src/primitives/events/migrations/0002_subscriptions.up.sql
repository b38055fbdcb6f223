create table forge_events_subscriptions (
  name text primary key,
  -- Everything up to here is handled or parked.
  no bigint not null,
  seq bigint not null,
  -- Grows with each claim: what an earlier holder reports does not count.
  fence bigint not null default 0,
  holder text,
  until timestamptz not null default '-infinity',
  -- When a process last had it among its subscriptions.
  seen_at timestamptz not null default clock_timestamp()
) with (fillfactor = 50);

-- Events that wait beside the log: those whose handler has failed, and those of the same key behind them.
create table forge_events_parked (
  subscription text not null,
  no bigint not null,
  seq bigint not null,
  id uuid not null,
  type text not null,
  tenant_id uuid,
  key text,
  -- The whole envelope: the log may have forgotten it when it is asked for.
  event json not null,
  attempt integer not null,
  -- Null: behind another one of its key, or dead.
  due timestamptz,
  error json,
  parked_at timestamptz not null default clock_timestamp(),
  died_at timestamptz,
  primary key (subscription, no, seq)
);
create index forge_events_parked_due on forge_events_parked (subscription, due) where died_at is null and due is not null;
create index forge_events_parked_key on forge_events_parked (subscription, key, no, seq) where died_at is null and key is not null;
create index forge_events_parked_dead on forge_events_parked (died_at) where died_at is not null;
create index forge_events_parked_id on forge_events_parked (id);

-- What was done once: a row commits with the effect.
create table forge_events_inbox (
  subscription text not null,
  event uuid not null,
  at timestamptz not null default clock_timestamp(),
  primary key (subscription, event)
);
create index forge_events_inbox_at on forge_events_inbox (at);

create function forge_events_declare(p_wanted json) returns void
language plpgsql
as $$
declare
  w record;
  v_head record;
begin
  for w in select * from json_to_recordset(p_wanted) as x (name text, "from" text) order by name loop
    continue when exists (select from forge_events_subscriptions s where s.name = w.name);
    if w."from" = 'now' then
      select * into strict v_head from forge_events_close();
    else
      select floor_no as no, floor_seq as seq into strict v_head from forge_events_state;
    end if;
    insert into forge_events_subscriptions (name, no, seq) values (w.name, v_head.no, v_head.seq) on conflict do nothing;
  end loop;
  update forge_events_subscriptions s set seen_at = clock_timestamp()
  where s.name in (
    select t.name from forge_events_subscriptions t
    where t.name in (select x.name from json_to_recordset(p_wanted) as x (name text))
      and t.seen_at < clock_timestamp() - interval '1 minute'
    order by t.name for update skip locked);
end $$;

-- Those of the names that nobody holds. Where retention has gone past a cursor, it goes on behind what is missing.
create function forge_events_claim(p_names text[], p_holder text, p_lease_ms float8)
returns table (name text, fence bigint, no bigint, seq bigint, was_no bigint, was_seq bigint)
language sql
as $$
  with free as (
    select s.name, s.no, s.seq, t.floor_no, t.floor_seq, (s.no, s.seq) < (t.floor_no, t.floor_seq) as expired
    from forge_events_subscriptions s cross join forge_events_state t
    where s.name = any (p_names) and s.until <= clock_timestamp()
    for update of s skip locked
  )
  update forge_events_subscriptions s
  set holder = p_holder, fence = s.fence + 1, until = clock_timestamp() + p_lease_ms * interval '1 millisecond',
    seen_at = clock_timestamp(),
    no = case when free.expired then free.floor_no else free.no end,
    seq = case when free.expired then free.floor_seq else free.seq end
  from free where s.name = free.name
  returning s.name, s.fence, s.no, s.seq, case when free.expired then free.no end, case when free.expired then free.seq end
$$;

-- What has happened to a subscription since the last time. Gives the keys for which nothing waits any more; null when
-- the lease is over.
create function forge_events_settle(
  p_name text, p_fence bigint, p_no bigint, p_seq bigint, p_park json, p_retried json) returns text[]
language plpgsql
as $$
declare
  v_now timestamptz;
  v_keys text[];
  v_freed text[];
begin
  update forge_events_subscriptions set no = p_no, seq = p_seq where name = p_name and fence = p_fence;
  if not found then
    return null;
  end if;
  v_now := clock_timestamp();
  if p_park is not null then
    insert into forge_events_parked (subscription, no, seq, id, type, tenant_id, key, event, attempt, due, error, parked_at, died_at)
    select p_name, x.no, x.seq, x.id, x.type, x.tenant, x.key, x.event, x.attempt,
      case
        when x.dead then null
        when x.attempt > 0 then v_now + x.delay * interval '1 millisecond'
        when x.key is null then v_now
      end,
      x.error, v_now, case when x.dead then v_now end
    from json_to_recordset(p_park) as x (
      no bigint, seq bigint, id uuid, type text, tenant uuid, key text, event json, attempt integer, delay float8,
      error json, dead boolean)
    on conflict (subscription, no, seq) do nothing;
    select array_agg(distinct x.key) into v_keys from json_to_recordset(p_park) as x (key text);
  end if;
  if p_retried is not null then
    select array_cat(v_keys, array_agg(distinct k.key)) into v_keys
    from json_to_recordset(p_retried) as x (no bigint, seq bigint)
    join forge_events_parked k on k.subscription = p_name and k.no = x.no and k.seq = x.seq;
    delete from forge_events_parked k using json_to_recordset(p_retried) as x (no bigint, seq bigint, state text)
    where x.state = 'done' and k.subscription = p_name and k.no = x.no and k.seq = x.seq;
    update forge_events_parked k
    set attempt = k.attempt + 1, error = x.error, died_at = case when x.state = 'dead' then v_now end,
      due = case when x.state = 'failed' then v_now + x.delay * interval '1 millisecond' end
    from json_to_recordset(p_retried) as x (no bigint, seq bigint, state text, delay float8, error json)
    where x.state <> 'done' and k.subscription = p_name and k.no = x.no and k.seq = x.seq;
  end if;
  -- The first of each key has a time, and those behind it have none.
  update forge_events_parked k set due = v_now
  from (
    select (
        select row(f.no, f.seq) from forge_events_parked f
        where f.subscription = p_name and f.key = u.key and f.died_at is null order by f.no, f.seq limit 1
      ) as first
    from unnest(v_keys) as u (key)
    where u.key is not null and not exists (
      select from forge_events_parked d
      where d.subscription = p_name and d.key = u.key and d.died_at is null and d.due is not null)
  ) heads
  where k.subscription = p_name and row(k.no, k.seq) = heads.first;
  select coalesce(array_agg(u.key), '{}') into v_freed from unnest(v_keys) as u (key)
  where u.key is not null and not exists (
    select from forge_events_parked d where d.subscription = p_name and d.key = u.key and d.died_at is null);
  return v_freed;
end $$;

-- Drops the partitions of days that ended `p_keep_ms` ago, when every subscription that is still in use has passed all
-- of their events, and forgets what belongs to them. Gives their names.
create function forge_events_drop(p_keep_ms float8) returns text[]
language plpgsql
set lock_timeout = '100ms'
set timezone = 'UTC'
as $$
declare
  v_keep interval := p_keep_ms * interval '1 millisecond';
  v_name text;
  v_to timestamptz;
  w forge_events_windows;
  v_last forge_events_windows;
  v_dropped text[] := '{}';
  v_open boolean;
begin
  perform pg_advisory_xact_lock(7702, 3);
  for v_name in
    select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'forge_events'::regclass and c.relname ~ '^forge_events_\d{8}$'
    order by 1
  loop
    v_to := (to_date(right(v_name, 8), 'YYYYMMDD') + 1)::timestamp at time zone 'UTC';
    exit when v_to > now() - v_keep;
    -- The last window with an event from before that moment.
    select x.* into w from forge_events_windows x where x.from_at < v_to order by x.no desc limit 1;
    if found then
      exit when w.closed_at > now() - v_keep;
      exit when exists (
        select from forge_events_subscriptions s
        where s.seen_at > now() - v_keep and (s.no, s.seq) < (w.no, w.last_seq));
    end if;
    lock table forge_events in access exclusive mode;
    -- Whoever wrote to it has committed now; is it in a window yet?
    select * into strict v_last from forge_events_windows x order by x.no desc limit 1;
    execute format('select exists (select from %I where xid >= $1 or xid = any ($2))', v_name)
    into v_open using v_last.top, v_last.running;
    exit when v_open;
    execute format('drop table %I', v_name);
    v_dropped := v_dropped || v_name;
    if w.no is not null then
      delete from forge_events_default d where d.at < v_to and d.xid < v_last.top and d.xid <> all (v_last.running);
      update forge_events_state set floor_no = w.no, floor_seq = w.last_seq where (floor_no, floor_seq) < (w.no, w.last_seq);
      delete from forge_events_windows x where x.no <= w.no and x.no < v_last.no;
    end if;
  end loop;
  return v_dropped;
end $$;

-- Forgets what nobody can need any more, at most p_limit of each kind. Gives how many dead events went, and whether there may be more.
create function forge_events_sweep(p_keep_ms float8, p_dead_ms float8, p_limit integer, out dead integer, out more boolean)
language plpgsql
as $$
declare
  v_done integer;
begin
  delete from forge_events_waiting where until < now();
  delete from forge_events_parked where (subscription, no, seq) in (
    select subscription, no, seq from forge_events_parked
    where died_at < now() - p_dead_ms * interval '1 millisecond' limit p_limit for update skip locked);
  get diagnostics dead = row_count;
  -- What may be delivered again must not be done again.
  delete from forge_events_inbox i where (subscription, event) in (
    select x.subscription, x.event from forge_events_inbox x
    where x.at < now() - p_keep_ms * interval '1 millisecond' - interval '1 day'
      and not exists (select from forge_events_parked k where k.id = x.event)
      and x.at < (select v.closed_at from forge_events_windows v order by v.no limit 1)
    limit p_limit);
  get diagnostics v_done = row_count;
  more := greatest(dead, v_done) = p_limit;
end $$;
