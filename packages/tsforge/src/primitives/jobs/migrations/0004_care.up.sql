-- Ends leases that have expired. The attempt counts; the job waits a random time in [0, least(cap, base * 2^attempt)]
-- and then goes to lane 0, where claims are small: it may be what ended its process.
-- `p_low`: the oldest lease that may live, from the last answer. Gives {"low": tx, "rescued": [{id, queue, kind, attempt, dead}, ...]}.
create function forge_jobs_rescue(p_base_ms float8, p_cap_ms float8, p_low text) returns text
language plpgsql
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
declare
  v_low xid8 := p_low::xid8;
  v_now timestamptz := clock_timestamp();
  v_part text;
  v_all text;
  v_queues text[] := '{}';
  l record;
begin
  for l in
    select id, queue, jobs from forge_jobs_leases where tx >= v_low and until < v_now order by tx limit 50
    for update skip locked
  loop
    delete from forge_jobs_leases where id = l.id;
    with gone as (
      delete from forge_jobs j using forge_jobs_cancels c where j.id = any (l.jobs) and c.job = j.id returning j.*
    )
    insert into forge_jobs_done
    select id, queue, priority, run_at, attempt + 1, max_attempts, kind, payload, timeout_ms, key, dedupe, tenant_id, tags,
      meta, error, created_at, v_now, true, null, null
    from gone;
    with gone as (
      delete from forge_jobs where id = any (l.jobs) and attempt + 1 >= max_attempts returning *
    ), buried as (
      insert into forge_jobs_dead
      select id, queue, priority, run_at, attempt + 1, max_attempts, kind, payload, timeout_ms, key, dedupe, tenant_id, tags,
        meta, '{"name":"Lost","message":"The process that ran it went away."}', created_at, v_now, 'lost'
      from gone
    ), again as (
      update forge_jobs
      set attempt = attempt + 1, lane = 0,
        run_at = v_now + random() * least(p_cap_ms, p_base_ms * power(2::float8, least(attempt, 60))) * interval '1 millisecond',
        error = '{"name":"Lost","message":"The process that ran it went away."}'
      where id = any (l.jobs) and attempt + 1 < max_attempts
      returning id, kind, attempt
    )
    select string_agg(json_build_object('id', id, 'queue', l.queue, 'kind', kind, 'attempt', n, 'dead', dead)::text, ',')
    into v_part
    from (
      select id, kind, attempt + 1 as n, true as dead from gone union all select id, kind, attempt, false from again
    ) rescued;
    perform forge_jobs_ended(l.jobs);
    v_all := concat_ws(',', v_all, v_part);
    v_queues := v_queues || l.queue;
  end loop;
  perform forge_jobs_wake(v_queues);
  select least((select tx from forge_jobs_leases where tx >= v_low order by tx limit 1), pg_snapshot_xmin(pg_current_snapshot()))
  into v_low;
  return concat('{"low":"', v_low, '","rescued":[', v_all, ']}');
end $$;

-- Prolongs all leases of a worker. Gives {"leases": [...], "cancelled": [...]}.
create function forge_jobs_heartbeat(p_worker text, p_lease_ms integer, p_low text) returns text
language plpgsql
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
declare
  v_leases bigint[];
  v_cancelled bigint[];
begin
  with alive as (
    update forge_jobs_leases set until = clock_timestamp() + p_lease_ms * interval '1 millisecond'
    where worker = p_worker and tx >= p_low::xid8 returning id
  )
  select array_agg(id) into v_leases from alive;
  if exists (select from forge_jobs_cancels) then
    select array_agg(job) into v_cancelled from forge_jobs_cancels
    where job in (select unnest(jobs) from forge_jobs_leases where worker = p_worker and tx >= p_low::xid8);
  end if;
  return json_build_object('leases', coalesce(v_leases, '{}'), 'cancelled', coalesce(v_cancelled, '{}'));
end $$;

-- Moves jobs into leases of their own. Gives their new leases in order, null where the old one was lost.
create function forge_jobs_isolate(p_worker text, p_lease_ms integer, p_jobs bigint[], p_leases bigint[]) returns text
language plpgsql
set jit = off
as $$
declare
  v_lease bigint;
  v_queue text;
  v_out text[] := '{}';
  r record;
begin
  perform from forge_jobs_leases where id = any (p_leases) and worker = p_worker order by id for update;
  for r in select * from unnest(p_jobs, p_leases) u (id, lease) loop
    v_lease := null;
    update forge_jobs_leases set jobs = array_remove(jobs, r.id)
    where id = r.lease and worker = p_worker and r.id = any (jobs) returning queue into v_queue;
    if found then
      insert into forge_jobs_leases (queue, worker, until, jobs)
      values (v_queue, p_worker, clock_timestamp() + p_lease_ms * interval '1 millisecond', array[r.id])
      returning id into v_lease;
    end if;
    v_out := v_out || coalesce(v_lease::text, 'null');
  end loop;
  return '[' || array_to_string(v_out, ',') || ']';
end $$;

create function forge_jobs_leave(p_worker text) returns void
language plpgsql
set jit = off
as $$
declare
  v_queues text[];
begin
  with gone as (delete from forge_jobs_leases where worker = p_worker returning queue)
  select array_agg(distinct queue) into v_queues from gone;
  perform forge_jobs_wake(v_queues);
end $$;

-- Ends jobs that no lease lists and asks for the end of the others. Without the claim lock, which the caller's transaction
-- would hold: whoever claims one of the first kind at this very moment is asked as well, and its report finds nothing.
-- Gives {"cancelled": [...], "requested": [...]}.
create function forge_jobs_stop(p_ids bigint[]) returns text
language plpgsql
set jit = off
as $$
declare
  v_found bigint[];
  v_running bigint[];
  v_cancelled bigint[];
begin
  select coalesce(array_agg(id), '{}') into v_found from forge_jobs where id = any (p_ids);
  select coalesce(array_agg(id), '{}') into v_running from forge_jobs j
  where j.id = any (v_found)
    and exists (select from forge_jobs_leases b where b.queue = j.queue and j.id = any (b.jobs));
  with gone as (
    delete from forge_jobs where id = any (v_found) and id <> all (v_running) returning *
  ), kept as (
    insert into forge_jobs_done
    select id, queue, priority, run_at, attempt, max_attempts, kind, payload, timeout_ms, key, dedupe, tenant_id, tags,
      meta, error, created_at, clock_timestamp(), true, null, null
    from gone
  )
  select coalesce(array_agg(id), '{}') into v_cancelled from gone;
  insert into forge_jobs_cancels (job) select unnest(v_found) on conflict do nothing;
  perform pg_notify('forge_jobs', 'c' || id) from unnest(v_found) as id;
  perform forge_jobs_ended(v_cancelled);
  return json_build_object('cancelled', v_cancelled, 'requested', v_running);
end $$;

-- The same for callers: one that goes to sleep at this moment, and would not look for a long time, is not missed.
create function forge_jobs_cancel(p_ids bigint[]) returns text
language plpgsql
as $$
begin
  perform from forge_jobs where id = any (p_ids) order by id for no key update;
  return forge_jobs_stop(p_ids);
end $$;

-- Makes dead jobs new, the first after `p_from_ms`, the others `p_gap_ms` apart. Where an open job has taken the dedupe key, they come back without one.
create function forge_jobs_revive(p_ids bigint[], p_gap_ms float8, p_from_ms float8) returns bigint[]
language plpgsql
set jit = off
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_ids bigint[];
  v_queues text[];
begin
  delete from forge_jobs_cancels where job in (select id from forge_jobs_dead where id = any (p_ids));
  with gone as (
    delete from forge_jobs_dead where id = any (p_ids) returning *
  ), numbered as (
    select *, row_number() over (order by id) - 1 as n,
      row_number() over (partition by queue, dedupe order by id) = 1
        and not exists (select from forge_jobs j where j.queue = gone.queue and j.dedupe = gone.dedupe) as alone
    from gone
  ), added as (
    insert into forge_jobs
      (id, queue, lane, priority, run_at, attempt, max_attempts, kind, payload, timeout_ms, key, dedupe, tenant_id, tags, meta,
       error, created_at)
    select id, queue, priority, priority, v_now + (p_from_ms + n * p_gap_ms) * interval '1 millisecond', 0, max_attempts, kind, payload,
      timeout_ms, key, case when alone then dedupe end, tenant_id, tags, meta, error, created_at
    from numbered
    returning id, queue
  )
  select array_agg(id), array_agg(distinct queue) into v_ids, v_queues from added;
  perform forge_jobs_wake(v_queues);
  return coalesce(v_ids, '{}');
end $$;

-- Dead ones become new, waiting ones due at once.
create function forge_jobs_retry(p_ids bigint[]) returns bigint[]
language plpgsql
set jit = off
as $$
declare
  v_ids bigint[];
  v_queues text[];
begin
  with due as (
    update forge_jobs j set run_at = clock_timestamp(), lane = case lane when 9 then 9 else priority end
    where id = any (p_ids) and run_at > clock_timestamp()
      and not exists (select from forge_jobs_leases b where b.queue = j.queue and j.id = any (b.jobs))
    returning id, queue
  )
  select array_agg(id), array_agg(distinct queue) into v_ids, v_queues from due;
  perform forge_jobs_wake(v_queues);
  return coalesce(v_ids, '{}') || forge_jobs_revive(p_ids, 0, 0);
end $$;

-- Forgets what nobody can need any more.
create function forge_jobs_sweep(p_dead_days float8) returns integer
language plpgsql
set jit = off
as $$
declare
  v_dead integer;
begin
  delete from forge_jobs_cancels c
  where at < now() - interval '1 hour' and not exists (select from forge_jobs j where j.id = c.job);
  delete from forge_jobs_progress p where not exists (select from forge_jobs j where j.id = p.job);
  delete from forge_jobs_throttles where until < now();
  delete from forge_jobs_rates where tat < now();
  delete from forge_jobs_waiting where until < now();
  delete from forge_jobs_dead where id in (
    select id from forge_jobs_dead where died_at < now() - p_dead_days * interval '1 day' limit 10000 for update skip locked);
  get diagnostics v_dead = row_count;
  perform forge_jobs_steps_sweep();
  return v_dead;
end $$;
