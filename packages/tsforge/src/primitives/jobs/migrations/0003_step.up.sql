-- Ends runs other than by plain success; called by forge_jobs_step under the fence. `p_other`: a list of
-- {id, lease, as, delay, error, ms, output}.
create function forge_jobs_settle(p_other json, p_fence bigint[]) returns void
language plpgsql
set enable_sort = off
set enable_seqscan = off
set jit = off
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_ids bigint[];
  v_cancelled bigint[];
begin
  select array_agg(x.id) into v_ids from json_to_recordset(p_other) as x (id bigint, lease bigint) where x.lease = any (p_fence);
  if v_ids is null then
    return;
  end if;
  -- What waits again must not be listed as running. Leases before jobs, in order: a parent that goes to sleep and its child,
  -- which wakes it, may be of one lease and end in two statements.
  update forge_jobs_leases l
  set jobs = array(select u from unnest(l.jobs) u where u <> all (v_ids))
  from (
    select id from forge_jobs_leases where id = any (p_fence) and jobs && v_ids order by id for no key update
  ) f
  where l.id = f.id;
  -- Whoever cancels one of these has done so when we look, or finds that it no longer runs.
  perform from forge_jobs j
  where j.id in (select x.id from json_to_recordset(p_other) as x (id bigint, "as" text) where x."as" in ('failed', 'snoozed'))
  order by j.id for no key update;
  -- What is to run again and was cancelled meanwhile does not run again.
  select array_agg(x.id) into v_cancelled
  from json_to_recordset(p_other) as x (id bigint, lease bigint, "as" text)
  where x.lease = any (p_fence) and (x."as" = 'cancelled'
    or x."as" in ('failed', 'snoozed', 'released') and exists (select from forge_jobs_cancels c where c.job = x.id));
  v_cancelled := coalesce(v_cancelled, '{}');
  with gone as (
    delete from forge_jobs j
    using json_to_recordset(p_other) as x (id bigint, lease bigint, "as" text, ms integer, output json, error json)
    where j.id = x.id and x.lease = any (p_fence) and (x."as" = 'done' or x.id = any (v_cancelled))
    returning j.*, x.ms, x.output, x.error as failure, x."as" as ended
  )
  insert into forge_jobs_done
  select id, queue, priority, run_at, attempt + 1, max_attempts, kind, payload, timeout_ms, key, dedupe, tenant_id, tags, meta,
    coalesce(failure, error), created_at, v_now, ended <> 'done', ms, output
  from gone;
  with gone as (
    delete from forge_jobs j
    using json_to_recordset(p_other) as x (id bigint, lease bigint, "as" text, error json)
    where j.id = x.id and x.lease = any (p_fence) and x.id <> all (v_cancelled)
      and (x."as" = 'discarded' or x."as" = 'failed' and j.attempt + 1 >= j.max_attempts)
    returning j.*, x.error as failure, x."as" as ended
  )
  insert into forge_jobs_dead
  select id, queue, priority, run_at, attempt + 1, max_attempts, kind, payload, timeout_ms, key, dedupe, tenant_id, tags, meta,
    failure, created_at, v_now, ended
  from gone;
  update forge_jobs j
  set attempt = j.attempt + case x."as" when 'failed' then 1 else 0 end,
    run_at = case when x."as" = 'snoozed' and j.woken then v_now else v_now + x.delay * interval '1 millisecond' end,
    woken = null,
    lane = j.priority,
    error = coalesce(x.error, j.error)
  from json_to_recordset(p_other) as x (id bigint, lease bigint, "as" text, delay float8, error json)
  where j.id = x.id and x.lease = any (p_fence) and x.id <> all (v_cancelled) and x."as" in ('failed', 'snoozed');
  perform forge_jobs_ended(v_ids);
end $$;

-- The ids to claim in a queue with limits, under its claim lock: keys in turn, those with the fewest running jobs first,
-- never more than any limit lets through. `o_next`: when a rate lets the next one through.
create function forge_jobs_pick_limited(
  p_queue text, p_kinds text[], p_want integer, out o_ids bigint[], out o_next timestamptz, out o_more boolean
)
language plpgsql
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  s forge_jobs_queues;
  v_now timestamptz := clock_timestamp();
  v_leased bigint[];
  v_running integer;
  v_want integer := p_want;
  v_step interval;
  v_depth interval;
  v_tat timestamptz;
  v_keys text[];
  v_counts integer[];
begin
  o_ids := '{}';
  o_more := false;
  select * into s from forge_jobs_queues where queue = p_queue;
  -- Listed ids whose jobs have ended count no more.
  select coalesce(array_agg(j.id), '{}') into v_leased
  from forge_jobs_leases b cross join lateral unnest(b.jobs) u (id) join forge_jobs j on j.id = u.id
  where b.queue = p_queue;
  v_running := cardinality(v_leased);
  if s.concurrency is not null then
    v_want := least(v_want, s.concurrency - v_running);
  end if;
  if s.rate_limit is not null then
    v_step := s.rate_period_ms * interval '1 millisecond' / s.rate_limit;
    v_depth := v_step * coalesce(s.rate_burst, s.rate_limit);
    select greatest(max(tat), v_now) into v_tat from forge_jobs_rates where queue = p_queue and key = '';
    v_want := least(v_want, floor(extract(epoch from v_depth - (v_tat - v_now)) / extract(epoch from v_step) + 1e-6)::integer);
    if v_want < 1 then
      o_next := v_tat + v_step - v_depth;
    end if;
  end if;
  if v_want < 1 then
    return;
  end if;
  if s.fair or s.key_concurrency is not null or s.key_rate_limit is not null then
    -- Keys with jobs, from the one after the last that was served: one index probe for each, at most 500.
    with recursive walk (key, n, wrapped) as (
      select coalesce(
          (select min(key) from forge_jobs where queue = p_queue and key > s.served),
          (select min(key) from forge_jobs where queue = p_queue and key <= s.served)),
        1, not exists (select from forge_jobs where queue = p_queue and key > s.served)
      union all
      select t.key, w.n + 1, t.wrapped from walk w cross join lateral (
        select a.key, w.wrapped from (
          select min(key) as key from forge_jobs
          where queue = p_queue and key > w.key and (not w.wrapped or key <= s.served)) a where a.key is not null
        union all
        select b.key, true from (
          select min(key) as key from forge_jobs where queue = p_queue and key <= s.served) b
        where b.key is not null and not w.wrapped
          and not exists (select from forge_jobs where queue = p_queue and key > w.key)
        limit 1
      ) t where w.n < 500 and w.key is not null
    )
    select array_agg(key order by n) into v_keys from walk where key is not null;
    select array_agg(coalesce(r.n, 0)::integer order by k.ord) into v_counts
    from unnest(v_keys) with ordinality k (key, ord)
    left join (select key, count(*) n from forge_jobs where id = any (v_leased) group by key) r on r.key = k.key;
  end if;
  with keys as (
    select k.key, k.running, k.ord,
      least(
        v_want,
        case when s.key_concurrency is null then v_want else s.key_concurrency - k.running end,
        case when s.key_rate_limit is null then v_want else floor(
          (coalesce(s.key_rate_burst, s.key_rate_limit) * s.key_rate_period_ms::float8 / s.key_rate_limit
            - greatest(0, date_part('epoch', coalesce(r.tat, v_now) - v_now)) * 1000)
          * s.key_rate_limit / s.key_rate_period_ms + 1e-6)::integer end
      ) as room
    from unnest(v_keys, v_counts) with ordinality as k (key, running, ord)
    left join forge_jobs_rates r on r.queue = p_queue and r.key = k.key and r.key <> ''
  ), waiting as (
    select j.id, j.lane, j.run_at, keys.running + row_number() over (partition by keys.key order by j.lane, j.run_at, j.id) as turn,
      keys.ord
    from keys
    cross join lateral (
      select c.id, c.lane, c.run_at
      from unnest('{0,1,2,3,4,9}'::smallint[]) as lanes (lane)
      cross join lateral (
        select f.id, f.lane, f.run_at from forge_jobs f
        where f.queue = p_queue and f.key = keys.key and f.lane = lanes.lane and f.run_at <= v_now
          and f.kind = any (p_kinds) and f.id not in (select unnest(v_leased))
        order by f.run_at, f.id
        limit greatest(keys.room, 0)
      ) c
      limit greatest(keys.room, 0)
    ) j
    where keys.room > 0
    union all
    select j.id, j.lane, j.run_at, 1, 0
    from (
      select c.id, c.lane, c.run_at
      from unnest('{0,1,2,3,4,9}'::smallint[]) as lanes (lane)
      cross join lateral (
        select f.id, f.lane, f.run_at from forge_jobs f
        where f.queue = p_queue and f.lane = lanes.lane and f.run_at <= v_now and (f.key is null or v_keys is null)
          and f.kind = any (p_kinds) and f.id not in (select unnest(v_leased))
        order by f.run_at, f.id
        limit v_want
      ) c
      limit v_want
    ) j
  )
  select coalesce(array_agg(id), '{}') into o_ids
  from (select id from waiting order by turn, ord, lane, run_at, id limit v_want) picked;
  if s.rate_limit is not null and cardinality(o_ids) > 0 then
    insert into forge_jobs_rates values (p_queue, '', v_tat + v_step * cardinality(o_ids))
    on conflict (queue, key) do update set tat = excluded.tat;
  end if;
  if s.key_rate_limit is not null then
    v_step := s.key_rate_period_ms * interval '1 millisecond' / s.key_rate_limit;
    v_depth := v_step * coalesce(s.key_rate_burst, s.key_rate_limit);
    insert into forge_jobs_rates as r
    select p_queue, key, v_now + v_step * count(*) from forge_jobs where id = any (o_ids) and key is not null group by key
    on conflict (queue, key) do update set tat = greatest(r.tat, v_now) + (excluded.tat - v_now);
    if cardinality(o_ids) < v_want then
      select min(greatest(r.tat, v_now) + v_step - v_depth) into o_next
      from forge_jobs_rates r where r.queue = p_queue and r.key = any (v_keys) and r.tat + v_step - v_depth > v_now;
    end if;
  end if;
  o_more := cardinality(o_ids) > 0 or coalesce(cardinality(v_keys), 0) = 500;
  if v_keys is not null and o_more then
    -- Where none of so many keys has anything due, the next claim looks at the keys behind them.
    update forge_jobs_queues set served = coalesce(
      case when cardinality(o_ids) = 0 then v_keys[500]
        else (select key from forge_jobs where id = o_ids[cardinality(o_ids)]) end, served) where queue = p_queue;
  end if;
end $$;

-- Finishes, then claims: one statement, one commit. See driver.ts for the promise.
--   p_fence   leases that reports refer to; p_close: those of them (and others) whose jobs have all been reported
--   p_drop    ids that succeeded and leave nothing; p_keep: ids that leave history, with p_ms how long they ran
--   *_lease   the lease of each id
--   p_mark_us, p_mark_id: for the lanes 0 to 4, where the last claim of this worker ended (microseconds, id)
--   p_low     the oldest lease that may live (its tx), from the last answer
--   p_full    look for parked jobs too; p_aged: serve the lane whose head waits longest first
create function forge_jobs_step(
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
