drop view forge_jobs_view;
create view forge_jobs_view as
select
  j.id, j.kind, j.queue,
  case
    when l.id is not null then 'running'
    when j.attempt > 0 then 'retrying'
    when j.run_at > now() then 'scheduled'
    else 'ready'
  end as state,
  j.priority, j.attempt, j.max_attempts, j.payload, j.run_at, j.created_at,
  null::timestamptz as finished_at, null::integer as run_ms, j.tenant_id, j.key, j.dedupe, j.tags, j.meta, j.timeout_ms,
  p.value as progress, null::json as output, j.error, null::text as reason,
  (l.id is not null and c.job is not null) as cancel_requested, l.worker
from forge_jobs j
left join lateral (
  select b.id, b.worker from forge_jobs_leases b where b.queue = j.queue and j.id = any (b.jobs) limit 1
) l on true
left join forge_jobs_progress p on p.job = j.id
left join forge_jobs_cancels c on c.job = j.id
union all
select
  id, kind, queue, 'dead', priority, attempt, max_attempts, payload, run_at, created_at, died_at, null, tenant_id, key,
  dedupe, tags, meta, timeout_ms, null, null, error, reason, false, null
from forge_jobs_dead
union all
select
  id, kind, queue, case when cancelled then 'cancelled' else 'done' end, priority, attempt, max_attempts, payload, run_at,
  created_at, finished_at, run_ms, tenant_id, key, dedupe, tags, meta, timeout_ms, null, output, error, null, false, null
from forge_jobs_done;
create or replace function forge_jobs_step(
  p_queue text, p_worker text, p_lease_ms integer, p_kinds text[], p_want integer,
  p_fence bigint[], p_close bigint[],
  p_drop bigint[], p_drop_lease bigint[],
  p_keep bigint[], p_keep_lease bigint[], p_ms integer[],
  p_other json,
  p_mark_us bigint[], p_mark_id bigint[], p_low text, p_full boolean, p_aged boolean, p_idle boolean
) returns text
language plpgsql
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set enable_mergejoin = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v_now timestamptz;
  v_held bigint[] := '{}';
  v_late text := '';
  v_low xid8 := coalesce(p_low, '0')::xid8;
  v_lanes smallint[];
  v_want integer := p_want;
  v_marks timestamptz[];
  v_known bigint[];
  v_unknown bigint[];
  v_more bigint[];
  v_json text;
  v_json2 text;
  v_lease bigint;
  v_next timestamptz;
  v_again boolean := false;
  v_paused boolean;
  v_limited boolean;
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'forge_jobs_step needs read committed' using errcode = 'invalid_transaction_state';
  end if;

  -- The fence. A lease that is deleted or locked here cannot be rescued before the commit.
  if cardinality(p_close) > 0 then
    with gone as (delete from forge_jobs_leases where id = any (p_close) and worker = p_worker returning id)
    select coalesce(array_agg(id), '{}') into v_held from gone;
  end if;
  if cardinality(p_fence) > 0 then
    select v_held || coalesce(array_agg(id), '{}') into v_held
    from (select id from forge_jobs_leases where id = any (p_fence) and worker = p_worker for key share) alive;
    if not (p_fence <@ v_held) then
      select coalesce(string_agg(id::text, ','), '') into v_late from (
        select u.id from unnest(p_drop, p_drop_lease) u (id, lease) where lease <> all (v_held)
        union all
        select u.id from unnest(p_keep, p_keep_lease) u (id, lease) where lease <> all (v_held)
        union all
        select x.id from json_to_recordset(p_other) as x (id bigint, lease bigint) where lease <> all (v_held)
      ) refused;
      select array_agg(id) into p_drop from unnest(p_drop, p_drop_lease) u (id, lease) where lease = any (v_held);
      select array_agg(id), array_agg(ms) into p_keep, p_ms
      from unnest(p_keep, p_keep_lease, p_ms) u (id, lease, ms) where lease = any (v_held);
    end if;
    if cardinality(p_drop) > 0 then
      delete from forge_jobs where id = any (p_drop);
    end if;
    if cardinality(p_keep) > 0 then
      with gone as (
        delete from forge_jobs j using unnest(p_keep, p_ms) u (id, ms) where j.id = u.id returning j.*, u.ms
      )
      insert into forge_jobs_done
      select id, queue, priority, run_at, attempt + 1, max_attempts, kind, payload, timeout_ms, key, dedupe, tenant_id, tags,
        meta, error, created_at, clock_timestamp(), false, ms, null
      from gone;
    end if;
    if p_other is not null then
      perform forge_jobs_settle(p_other, v_held);
    end if;
  end if;
  if p_want < 1 then
    return '{"late":[' || v_late || '],"jobs":[]}';
  end if;

  -- A statement of its own: what follows sees all that the last holder did.
  perform pg_advisory_xact_lock(7701, hashtext(p_queue));
  v_now := clock_timestamp();
  select paused, concurrency is not null or rate_limit is not null or key_concurrency is not null
    or key_rate_limit is not null or fair
  into v_paused, v_limited from forge_jobs_queues where queue = p_queue;
  v_limited := coalesce(v_limited, false);

  if coalesce(v_paused, false) then
    return '{"late":[' || v_late || '],"paused":true,"limited":' || v_limited::text || ',"jobs":[]}';
  elsif v_limited then
    select o_ids, o_next, o_more into v_known, v_next, v_again from forge_jobs_pick_limited(p_queue, p_kinds, p_want);
    select string_agg(concat('[', id, ',"', kind, '",', attempt + 1, ',', max_attempts, ',', lane, ',',
        (date_part('epoch', run_at) * 1e6)::bigint, ',', (date_part('epoch', created_at) * 1e3)::bigint, ',', payload, ',',
        coalesce(timeout_ms::text, 'null'), ',', coalesce(to_json(key)::text, 'null'), ',',
        coalesce('"' || tenant_id || '"', 'null'), ',', coalesce(to_json(tags)::text, 'null'), ',',
        coalesce(meta::text, 'null'), ']'), ',')
    into v_json from forge_jobs j join unnest(v_known) with ordinality u (id, n) using (id);
  else
    v_lanes := '{1,2,3,4}';
    if p_aged then
      v_lanes := array(
        select l.lane from unnest(v_lanes, p_mark_us[2:5], p_mark_id[2:5]) as l (lane, us, mid)
        left join lateral (
          select j.run_at from forge_jobs j
          where j.queue = p_queue and j.lane = l.lane and j.run_at <= v_now
            and (j.run_at, j.id) > (to_timestamp(l.us / 1e6), l.mid)
            and j.id not in (select unnest(b.jobs) from forge_jobs_leases b where b.queue = p_queue and b.tx >= v_low)
          order by j.run_at, j.id limit 1
        ) h on true
        order by h.run_at, l.lane);
    elsif exists (
      select from forge_jobs j
      where j.queue = p_queue and j.lane = 0 and j.run_at <= v_now
        and j.id not in (select unnest(b.jobs) from forge_jobs_leases b where b.queue = p_queue and b.tx >= v_low)
    ) then
      -- One of these may have ended its process: few at a time, and no others in their lease.
      v_lanes := '{0}';
      v_want := least(v_want, 4);
      v_again := true;
    end if;
    select array_agg(id) filter (where known), array_agg(id) filter (where not known),
      string_agg(concat('[', id, ',"', kind, '",', attempt + 1, ',', max_attempts, ',', lane, ',',
        (date_part('epoch', run_at) * 1e6)::bigint, ',', (date_part('epoch', created_at) * 1e3)::bigint, ',', payload, ',',
        coalesce(timeout_ms::text, 'null'), ',', coalesce(to_json(key)::text, 'null'), ',',
        coalesce('"' || tenant_id || '"', 'null'), ',', coalesce(to_json(tags)::text, 'null'), ',',
        coalesce(meta::text, 'null'), ']'), ',') filter (where known)
    into v_known, v_unknown, v_json
    from (
      select t.*, t.kind = any (p_kinds) as known
      from unnest(v_lanes) as l (lane)
      cross join lateral (
        select j.* from forge_jobs j
        where j.queue = p_queue and j.lane = l.lane and j.run_at <= v_now
          and (j.run_at, j.id) > (to_timestamp(p_mark_us[l.lane + 1] / 1e6), p_mark_id[l.lane + 1])
          and j.id not in (select unnest(b.jobs) from forge_jobs_leases b where b.queue = p_queue and b.tx >= v_low)
        order by j.run_at, j.id
        limit v_want
      ) t
      limit v_want
    ) picked;
    if v_unknown is not null then
      -- Out of the way of later claims; whoever knows the kind finds it by the index of parked jobs.
      update forge_jobs set lane = 9 where id = any (v_unknown);
      v_again := true;
    end if;
    v_want := v_want - coalesce(cardinality(v_known), 0);
    if p_full and v_want > 0 then
      select array_agg(id),
        string_agg(concat('[', id, ',"', kind, '",', attempt + 1, ',', max_attempts, ',', lane, ',',
          (date_part('epoch', run_at) * 1e6)::bigint, ',', (date_part('epoch', created_at) * 1e3)::bigint, ',', payload, ',',
          coalesce(timeout_ms::text, 'null'), ',', coalesce(to_json(key)::text, 'null'), ',',
          coalesce('"' || tenant_id || '"', 'null'), ',', coalesce(to_json(tags)::text, 'null'), ',',
          coalesce(meta::text, 'null'), ']'), ',')
      into v_more, v_json2
      from (
        select t.* from unnest(p_kinds) as k (kind)
        cross join lateral (
          select j.* from forge_jobs j
          where j.queue = p_queue and j.kind = k.kind and j.lane = 9 and j.run_at <= v_now
            and j.id not in (select unnest(b.jobs) from forge_jobs_leases b where b.queue = p_queue and b.tx >= v_low)
          order by j.run_at, j.id
          limit v_want
        ) t
        limit v_want
      ) parked;
      v_known := v_known || v_more;
      v_json := concat_ws(',', v_json, v_json2);
    end if;
  end if;

  if cardinality(v_known) > 0 then
    insert into forge_jobs_leases (queue, worker, until, jobs)
    values (p_queue, p_worker, clock_timestamp() + p_lease_ms * interval '1 millisecond', v_known)
    returning id into v_lease;
    -- Plenty to do: nobody needs to be woken.
    if cardinality(v_known) = p_want and p_want >= 32 then
      delete from forge_jobs_waiting where queue = p_queue;
    end if;
  elsif not v_again then
    if p_idle then
      insert into forge_jobs_waiting as w (queue, until) values (p_queue, v_now + interval '60 seconds')
      on conflict (queue) do update set until = excluded.until where w.until < v_now + interval '30 seconds';
      -- Jobs that were added a moment ago did not know that somebody waits.
      v_again := found;
    end if;
    select least(v_next, min(h.run_at)) into v_next
    from unnest('{0,1,2,3,4}'::smallint[]) as l (lane)
    cross join lateral (
      select j.run_at from forge_jobs j
      where j.queue = p_queue and j.lane = l.lane and j.run_at > v_now order by j.run_at, j.id limit 1
    ) h;
  end if;
  if p_full then
    -- Transactions that are under way may still add leases: they are not older than the snapshot's oldest.
    select least(
      (select b.tx from forge_jobs_leases b where b.queue = p_queue and b.tx >= v_low order by b.tx limit 1),
      pg_snapshot_xmin(pg_current_snapshot())
    ) into v_low;
  end if;
  return concat('{"late":[', v_late, '],"low":"', v_low, '","lease":', coalesce(v_lease::text, 'null'),
    ',"more":', v_again::text, ',"limited":', v_limited::text,
    ',"next":', case when v_next is null then 'null'
      else greatest(0, ceil(date_part('epoch', v_next - clock_timestamp()) * 1000))::text end,
    ',"jobs":[', v_json, ']}');
end $$;
drop function forge_jobs_text(forge_jobs);
drop index forge_jobs_done_tenants;
drop index forge_jobs_dead_tenants;
drop index forge_jobs_tenants;
alter table forge_jobs_leases alter column jobs set storage extended;
