-- What a job has done so far: one row for each step. They leave with their job.
create table forge_jobs_steps (
  job bigint not null,
  name text not null,
  -- Where the handler came to it, counted from 0: replays must come to it at the same place.
  place integer not null,
  kind text not null check (kind in ('run', 'sleep', 'event', 'children')),
  ended boolean not null,
  value json,
  -- When a sleep or a wait ends by itself.
  due timestamptz,
  event text,
  match jsonb,
  signal bigint,
  -- Children that have not ended.
  open integer,
  fail_fast boolean,
  constraint forge_jobs_steps_pkey primary key (job, name)
);
create index forge_jobs_steps_waiting on forge_jobs_steps (event) where kind = 'event' and not ended;

-- What was signalled, for waits that come later.
create table forge_jobs_signals (
  id bigint generated always as identity primary key,
  event text not null,
  payload json not null,
  at timestamptz not null default clock_timestamp()
);
create index forge_jobs_signals_event on forge_jobs_signals (event, id);
create index forge_jobs_signals_at on forge_jobs_signals (at);

-- Jobs that another job waits for.
create table forge_jobs_members (
  child bigint primary key,
  parent bigint not null,
  step text not null,
  place integer not null,
  name text not null,
  -- Places of those that it waits for itself, and how many of them have not ended.
  needs integer[] not null,
  blocked integer not null,
  ended text check (ended in ('done', 'dead', 'cancelled')),
  output json,
  error json
);
create unique index forge_jobs_members_group on forge_jobs_members (parent, step, place);
create index forge_jobs_members_blocked on forge_jobs_members (parent, step) where blocked > 0 and ended is null;

-- The fence: whether the lease lists the job. Until the commit nobody can take it away.
create function forge_jobs_hold(p_job bigint, p_lease bigint) returns boolean
language plpgsql
as $$
begin
  perform from forge_jobs_leases where id = p_lease and p_job = any (jobs) for key share;
  return found;
end $$;

-- One row as the runner takes it.
create function forge_jobs_steps_text(p_job bigint, p_name text) returns text
language sql stable
as $$
  select '[' || coalesce(string_agg(concat('[', to_json(name), ',', place, ',"', kind, '",', ended::text, ',',
    case when due is null or ended then 'null'
      else greatest(0, ceil(date_part('epoch', due - clock_timestamp()) * 1000))::text end,
    ',', coalesce(value::text, 'null'), ']'), ',' order by place), '') || ']'
  from forge_jobs_steps where job = p_job and (p_name is null or name = p_name)
$$;

-- All steps of a job at the start of a run; waits whose time is up end here. Null: the lease is lost.
-- The steps before the job, as everybody who wakes one: or they would wait for each other.
create function forge_jobs_steps_load(p_job bigint, p_lease bigint) returns text
language plpgsql
set jit = off
as $$
begin
  if not forge_jobs_hold(p_job, p_lease) then
    return null;
  end if;
  update forge_jobs_steps set ended = true
  where job = p_job and not ended and kind in ('sleep', 'event') and due <= clock_timestamp();
  update forge_jobs set woken = null where id = p_job and woken;
  return forge_jobs_steps_text(p_job, null);
end $$;

-- Stores a result, or when a sleep ends. What is stored already stays. Gives the row.
create function forge_jobs_steps_put(
  p_job bigint, p_lease bigint, p_name text, p_place integer, p_kind text, p_value json, p_in_ms float8, p_at_ms float8
) returns text
language plpgsql
set jit = off
as $$
begin
  if not forge_jobs_hold(p_job, p_lease) then
    return null;
  end if;
  insert into forge_jobs_steps (job, name, place, kind, ended, value, due)
  values (p_job, p_name, p_place, p_kind, p_kind = 'run', p_value,
    coalesce(clock_timestamp() + p_in_ms * interval '1 millisecond', to_timestamp(p_at_ms / 1000)))
  on conflict (job, name) do nothing;
  return forge_jobs_steps_text(p_job, p_name);
end $$;

-- Registers a wait, unless a signal of this event is there already. Waits keep signals of their event out meanwhile, so that
-- none falls in between.
create function forge_jobs_steps_wait(
  p_job bigint, p_lease bigint, p_name text, p_place integer, p_event text, p_match jsonb, p_in_ms float8, p_back_ms float8
) returns text
language plpgsql
set jit = off
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_since timestamptz;
begin
  perform pg_advisory_xact_lock(7703, hashtext(p_event));
  if not forge_jobs_hold(p_job, p_lease) then
    return null;
  end if;
  select case when p_back_ms is null then created_at else v_now - p_back_ms * interval '1 millisecond' end
  into v_since from forge_jobs where id = p_job;
  insert into forge_jobs_steps (job, name, place, kind, ended, due, event, match)
  values (p_job, p_name, p_place, 'event', false, v_now + p_in_ms * interval '1 millisecond', p_event, p_match)
  on conflict (job, name) do nothing;
  if found then
    update forge_jobs_steps w
    set ended = true, signal = s.id,
      value = json_build_object('id', s.id, 'at', round(date_part('epoch', s.at) * 1000), 'payload', s.payload)
    from (
      select id, at, payload from forge_jobs_signals f
      where f.event = p_event and f.at >= v_since and (p_match is null or f.payload::jsonb @> p_match)
        and not exists (select from forge_jobs_steps o where o.job = p_job and o.signal = f.id)
      order by f.id limit 1
    ) s
    where w.job = p_job and w.name = p_name;
  end if;
  return forge_jobs_steps_text(p_job, p_name);
end $$;

-- Makes waiting jobs due; one that runs looks again when it goes to sleep.
create function forge_jobs_rouse(p_ids bigint[]) returns void
language plpgsql
set jit = off
as $$
declare
  v_queues text[];
begin
  with roused as (
    update forge_jobs j set woken = true, run_at = least(j.run_at, clock_timestamp())
    from (select id from forge_jobs where id = any (p_ids) order by id for no key update) f
    where j.id = f.id returning j.queue
  )
  select array_agg(distinct queue) into v_queues from roused;
  perform forge_jobs_wake(v_queues);
end $$;

-- Gives {"id": n, "woken": how many waits it ended}.
create function forge_jobs_signal(p_event text, p_payload json) returns text
language plpgsql
set jit = off
as $$
declare
  v_id bigint;
  v_at timestamptz;
  v_jobs bigint[];
begin
  perform pg_advisory_xact_lock_shared(7703, hashtext(p_event));
  insert into forge_jobs_signals (event, payload) values (p_event, p_payload) returning id, at into v_id, v_at;
  with ended as (
    update forge_jobs_steps w
    set ended = true, signal = v_id,
      value = json_build_object('id', v_id, 'at', round(date_part('epoch', v_at) * 1000), 'payload', p_payload)
    from (
      select job, name from forge_jobs_steps
      where event = p_event and kind = 'event' and not ended and (due is null or due > v_at)
        and (match is null or p_payload::jsonb @> match)
      order by job, name for no key update
    ) f
    where w.job = f.job and w.name = f.name
    returning w.job
  )
  select array_agg(job) into v_jobs from ended;
  if v_jobs is not null then
    perform forge_jobs_rouse(v_jobs);
  end if;
  return json_build_object('id', v_id, 'woken', coalesce(cardinality(v_jobs), 0));
end $$;

-- Makes jobs of this transaction the children of a step. `p_needs`: for each, the places it waits for.
create function forge_jobs_steps_children(
  p_job bigint, p_name text, p_place integer, p_children bigint[], p_names text[], p_needs json, p_fail_fast boolean
) returns text
language plpgsql
set jit = off
as $$
begin
  insert into forge_jobs_steps (job, name, place, kind, ended, open, fail_fast)
  values (p_job, p_name, p_place, 'children', cardinality(p_children) = 0, cardinality(p_children), p_fail_fast);
  insert into forge_jobs_members (child, parent, step, place, name, needs, blocked)
  select m.child, p_job, p_name, m.n - 1, m.name, n.needs, cardinality(n.needs)
  from unnest(p_children, p_names) with ordinality m (child, name, n)
  cross join lateral (
    select array(select json_array_elements_text(p_needs -> (m.n - 1)::integer)::integer) as needs
  ) n;
  return forge_jobs_steps_text(p_job, p_name);
end $$;

-- Tells whoever waits for these jobs, in the transaction that ends them. Those that have not ended are passed over.
create or replace function forge_jobs_ended(p_ids bigint[]) returns void
language plpgsql
set jit = off
as $$
declare
  v_gone bigint[];
  v_since timestamptz := clock_timestamp() - interval '1 hour';
  v_rouse bigint[] := '{}';
  v_stop bigint[] := '{}';
  v_more bigint[];
  v_left integer;
  v_fast boolean;
  g record;
begin
  if not exists (select from forge_jobs_members where child = any (p_ids) and ended is null)
    and not exists (select from forge_jobs_steps where job = any (p_ids)) then
    return;
  end if;
  select array_agg(u) into v_gone from unnest(p_ids) u where not exists (select from forge_jobs j where j.id = u);
  if v_gone is null then
    return;
  end if;
  -- One after the other for each parent: whoever ends the last child sees that it is the last.
  perform from forge_jobs_steps s
  where (s.job, s.name) in (select parent, step from forge_jobs_members where child = any (v_gone) and ended is null)
  order by s.job, s.name for no key update;
  for g in
    with told as (
      update forge_jobs_members m
      set ended = coalesce(e.state, 'done'), output = e.output, error = e.error
      from unnest(v_gone) u (id)
      left join lateral (
        select 'dead' as state, null::json as output, d.error from forge_jobs_dead d where d.id = u.id
        union all
        select case when d.cancelled then 'cancelled' else 'done' end, d.output, d.error
        from forge_jobs_done d where d.id = u.id and d.finished_at > v_since
        limit 1
      ) e on true
      where m.child = u.id and m.ended is null
      returning m.parent, m.step, m.place, m.ended
    )
    select parent, step, count(*)::integer as n, coalesce(array_agg(place) filter (where ended = 'done'), '{}') as good,
      coalesce(array_agg(place) filter (where ended <> 'done'), '{}') as bad
    from told group by parent, step order by parent, step
  loop
    update forge_jobs_steps set open = open - g.n, ended = open <= g.n
    where job = g.parent and name = g.step returning open, fail_fast into v_left, v_fast;
    if v_left <= 0 then
      v_rouse := v_rouse || g.parent;
      continue;
    end if;
    if cardinality(g.bad) > 0 then
      select v_stop || coalesce(array_agg(child), '{}') into v_stop from forge_jobs_members
      where parent = g.parent and step = g.step and ended is null and (v_fast or needs && g.bad);
    end if;
    if cardinality(g.good) > 0 then
      with freed as (
        update forge_jobs_members m
        set blocked = blocked - (select count(*) from unnest(m.needs) u where u = any (g.good))
        where parent = g.parent and step = g.step and blocked > 0 and ended is null and needs && g.good
        returning child, blocked
      )
      select array_agg(child) into v_more from freed where blocked = 0;
      v_rouse := v_rouse || coalesce(v_more, '{}');
    end if;
  end loop;
  -- Those that waited for nothing but a parent that was cancelled go with it. A dead one may be made new again.
  select v_stop || coalesce(array_agg(m.child), '{}') into v_stop
  from forge_jobs_members m where m.parent = any (v_gone) and m.ended is null
    and exists (select from forge_jobs_done d where d.id = m.parent and d.cancelled and d.finished_at > v_since);
  with gone as (
    delete from forge_jobs_steps s where s.job = any (v_gone)
      and not exists (select from forge_jobs_dead d where d.id = s.job)
    returning job
  )
  delete from forge_jobs_members where parent in (select job from gone);
  if cardinality(v_rouse) > 0 then
    perform forge_jobs_rouse(v_rouse);
  end if;
  if cardinality(v_stop) > 0 then
    perform forge_jobs_stop(v_stop);
  end if;
end $$;

-- Forgets what nobody can need any more, and tells what nobody has told (a runner that was older than the steps).
create or replace function forge_jobs_steps_sweep() returns void
language plpgsql
set jit = off
as $$
begin
  delete from forge_jobs_signals where id in (
    select id from forge_jobs_signals where at < now() - interval '24 hours' order by at limit 10000 for update skip locked);
  perform forge_jobs_ended(array(
    select child from forge_jobs_members m
    where ended is null and not exists (select from forge_jobs j where j.id = m.child) limit 10000));
  delete from forge_jobs_steps s
  where not exists (select from forge_jobs j where j.id = s.job) and not exists (select from forge_jobs_dead d where d.id = s.job);
  delete from forge_jobs_members m where not exists (select from forge_jobs_steps s where s.job = m.parent and s.name = m.step);
end $$;
