-- Tells whoever waits at these queues. One commit sends one message per queue: PostgreSQL drops equal ones.
create function forge_jobs_wake(p_queues text[]) returns void
language sql
as $$
  select pg_notify('forge_jobs', 'w' || queue) from forge_jobs_waiting
  where queue = any (p_queues) and until > clock_timestamp()
$$;

-- In a queue that serves keys in turn, the tenant stands in for a key.
create function forge_jobs_key(p_queue text, p_tenant uuid) returns text
language sql stable
as $$
  select p_tenant::text from forge_jobs_queues
  where queue = p_queue and (fair or key_concurrency is not null or key_rate_limit is not null)
$$;

-- Adds jobs. `p_heads`: one head for all, or one for each. `p_payloads`: JSON texts with U+001E between them, which no
-- JSON text contains. With a worker, they are leased to it at once, unless the queue has limits.
-- Gives {"ids": [...], "lease": id or null}.
create function forge_jobs_add(p_heads json, p_payloads text, p_worker text, p_lease_ms integer) returns text
language plpgsql
set enable_sort = off
set jit = off
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_ids bigint[];
  v_queues text[];
  v_lease bigint;
  h record;
begin
  if json_array_length(p_heads) = 1 then
    select * into strict h from json_to_recordset(p_heads) as x (
      kind text, queue text, priority smallint, max integer, delay float8, at float8, timeout integer, key text,
      tenant uuid, tags text[], meta json);
    if h.key is null and h.tenant is not null then
      h.key := forge_jobs_key(h.queue, h.tenant);
    end if;
    with added as (
      insert into forge_jobs
        (queue, lane, priority, run_at, max_attempts, kind, payload, timeout_ms, key, tenant_id, tags, meta, created_at)
      select h.queue, h.priority, h.priority,
        case when h.at is null then v_now + h.delay * interval '1 millisecond' else to_timestamp(h.at / 1000) end,
        h.max, h.kind, payload::json, h.timeout, h.key, h.tenant, h.tags, h.meta, v_now
      from unnest(string_to_array(p_payloads, e'\x1e')) as payload
      returning id
    )
    select array_agg(id) into v_ids from added;
    if h.at is null and h.delay < 1000 or h.at < extract(epoch from v_now) * 1000 + 1000 then
      v_queues := array[h.queue];
    end if;
  else
    with added as (
      insert into forge_jobs
        (queue, lane, priority, run_at, max_attempts, kind, payload, timeout_ms, key, tenant_id, tags, meta, created_at)
      select x.queue, x.priority, x.priority,
        case when x.at is null then v_now + x.delay * interval '1 millisecond' else to_timestamp(x.at / 1000) end,
        x.max, x.kind, x.payload::json, x.timeout,
        case when x.key is null and x.tenant is not null then forge_jobs_key(x.queue, x.tenant) else x.key end, x.tenant, x.tags, x.meta, v_now
      from rows from (
        json_to_recordset(p_heads) as (
          kind text, queue text, priority smallint, max integer, delay float8, at float8, timeout integer, key text,
          tenant uuid, tags text[], meta json),
        unnest(string_to_array(p_payloads, e'\x1e'))
      ) as x (kind, queue, priority, max, delay, at, timeout, key, tenant, tags, meta, payload)
      returning id, queue, run_at
    )
    select array_agg(id), array_agg(distinct queue) filter (where run_at < v_now + interval '1 second')
    into v_ids, v_queues from added;
  end if;
  if p_worker is not null and v_queues is not null and not exists (select from forge_jobs_queues where queue = any (v_queues)) then
    insert into forge_jobs_leases (queue, worker, until, jobs)
    values (v_queues[1], p_worker, clock_timestamp() + p_lease_ms * interval '1 millisecond', v_ids)
    returning id into v_lease;
  elsif v_queues is not null then
    perform forge_jobs_wake(v_queues);
  end if;
  return '{"lease":' || coalesce(v_lease::text, 'null') || ',"now":' || round(date_part('epoch', v_now) * 1000)
    || ',"ids":[' || array_to_string(v_ids, ',') || ']}';
end $$;

-- Adds jobs of which some have a key that must be alone among the open jobs of its queue. One by one and in the order of
-- keys, so that two that add the same keys wait for each other and never in a circle.
-- Gives [[place, id or null, outcome], ...].
create function forge_jobs_add_keyed(p_heads json, p_payloads text) returns text
language plpgsql
set jit = off
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_payloads text[] := string_to_array(p_payloads, e'\x1e');
  v_id bigint;
  v_old bigint;
  v_outcome text;
  v_due timestamptz;
  v_tries integer;
  v_queues text[] := '{}';
  v_out text[] := '{}';
  r record;
begin
  for r in
    select x.* from rows from (
      json_to_recordset(p_heads) as (
        kind text, queue text, priority smallint, max integer, delay float8, at float8, timeout integer, key text,
        tenant uuid, tags text[], meta json, dedupe text, mode text, win float8)
    ) with ordinality as x (kind, queue, priority, max, delay, at, timeout, key, tenant, tags, meta, dedupe, mode, win, n)
    order by x.queue, x.dedupe, x.n
  loop
    if r.key is null and r.tenant is not null then
      r.key := forge_jobs_key(r.queue, r.tenant);
    end if;
    v_outcome := 'added';
    v_tries := 0;
    v_due := case when r.at is null then v_now + r.delay * interval '1 millisecond' else to_timestamp(r.at / 1000) end;
    if r.mode = 'debounce' then
      v_due := v_now + r.win * interval '1 millisecond';
    end if;
    if r.mode = 'throttle' then
      v_id := nextval(pg_get_serial_sequence('forge_jobs', 'id'));
      insert into forge_jobs_throttles as t (queue, key, until, job)
      values (r.queue, r.dedupe, v_now + r.win * interval '1 millisecond', v_id)
      on conflict (queue, key) do update set until = excluded.until, job = excluded.job where t.until <= v_now;
      if not found then
        v_outcome := 'throttled';
        select job into v_id from forge_jobs_throttles where queue = r.queue and key = r.dedupe;
      else
        insert into forge_jobs
          (id, queue, lane, priority, run_at, max_attempts, kind, payload, timeout_ms, key, tenant_id, tags, meta, created_at)
        values (v_id, r.queue, r.priority, r.priority, v_due, r.max, r.kind, v_payloads[r.n]::json, r.timeout, r.key,
          r.tenant, r.tags, r.meta, v_now);
      end if;
    else
      loop
        insert into forge_jobs
          (queue, lane, priority, run_at, max_attempts, kind, payload, timeout_ms, key, dedupe, tenant_id, tags, meta, created_at)
        values (r.queue, r.priority, r.priority, v_due, r.max, r.kind, v_payloads[r.n]::json, r.timeout, r.key, r.dedupe,
          r.tenant, r.tags, r.meta, v_now)
        on conflict (queue, dedupe) where dedupe is not null do nothing
        returning id into v_id;
        exit when found;
        v_tries := v_tries + 1;
        if v_tries > 20 then
          raise exception 'the open job with this key cannot be seen' using errcode = 'serialization_failure';
        end if;
        select id into v_old from forge_jobs where queue = r.queue and dedupe = r.dedupe;
        continue when not found;
        if r.mode = 'skip' then
          v_id := v_old;
          v_outcome := 'existing';
          exit;
        end if;
        -- A job that runs keeps its row and loses its key. One that is claimed at this very moment runs without a row:
        -- its report finds nothing, and the job that replaced it follows.
        if exists (select from forge_jobs_leases where queue = r.queue and v_old = any (jobs)) then
          update forge_jobs set dedupe = null where id = v_old;
        else
          delete from forge_jobs where id = v_old;
        end if;
        v_outcome := 'replaced';
      end loop;
    end if;
    if v_outcome in ('added', 'replaced') and v_due < v_now + interval '1 second' and r.queue <> all (v_queues) then
      v_queues := v_queues || r.queue;
    end if;
    v_out := v_out || ('[' || r.n || ',' || coalesce(v_id::text, 'null') || ',"' || v_outcome || '"]');
  end loop;
  perform forge_jobs_wake(v_queues);
  return '[' || array_to_string(v_out, ',') || ']';
end $$;
