create table forge_quota_assignments (
  tenant_id uuid primary key,
  plan text not null,
  -- Day of the month (UTC) on which the tenant's months begin; the last day where a month is shorter.
  anchor_day smallint not null default 1 check (anchor_day between 1 and 31),
  created_at timestamptz not null,
  created_by uuid,
  updated_at timestamptz not null,
  updated_by uuid
);

create index forge_quota_assignments_plan on forge_quota_assignments (plan);

-- One row for each period of a window: the ledger, and its own history.
create table forge_quota_counters (
  tenant_id uuid not null,
  -- The API key whose share this is; the tenant's own id for the tenant's total.
  subject_id uuid not null,
  quota text not null,
  per text not null check (per in ('minute', 'hour', 'day', 'month')),
  starts_at timestamptz not null,
  ends_at timestamptz not null,
  used bigint not null default 0 check (used >= 0),
  -- The limit when units were last taken; null for unlimited.
  allowed bigint,
  -- The highest level (percent) that has been told in this period.
  told smallint not null default 0,
  primary key (tenant_id, subject_id, quota, per, starts_at)
) with (fillfactor = 50);

create index forge_quota_counters_ends on forge_quota_counters (ends_at);

create table forge_quota_reservations (
  id uuid primary key,
  tenant_id uuid not null,
  key_id uuid,
  quota text not null,
  cost bigint not null check (cost > 0),
  reserved_at timestamptz not null,
  expires_at timestamptz not null
);

create index forge_quota_reservations_held on forge_quota_reservations (tenant_id, quota, reserved_at);
create index forge_quota_reservations_expires on forge_quota_reservations (expires_at);

create table forge_quota_events (
  id uuid primary key default gen_random_uuid(),
  tenant_id uuid not null,
  subject_id uuid not null,
  quota text not null,
  per text not null,
  starts_at timestamptz not null,
  level smallint not null,
  used bigint not null,
  allowed bigint not null,
  occurred_at timestamptz not null,
  unique (tenant_id, subject_id, quota, per, starts_at, level)
);

create index forge_quota_events_occurred on forge_quota_events (occurred_at);

create function forge_quota_anchored(month timestamp, anchor integer) returns timestamptz
language sql immutable as $$
  select (month + (least(anchor, extract(day from month + interval '1 month - 1 day')::integer) - 1) * interval '1 day')
    at time zone 'UTC'
$$;

create function forge_quota_period(
  per text, at timestamptz, anchor integer, out starts_at timestamptz, out ends_at timestamptz
) language plpgsql immutable as $$
declare
  month timestamp;
begin
  if per <> 'month' then
    starts_at := date_trunc(per, at at time zone 'UTC') at time zone 'UTC';
    ends_at := starts_at + ('1 ' || per)::interval;
    return;
  end if;
  month := date_trunc('month', at at time zone 'UTC');
  if at < forge_quota_anchored(month, anchor) then
    month := month - interval '1 month';
  end if;
  starts_at := forge_quota_anchored(month, anchor);
  ends_at := forge_quota_anchored(month + interval '1 month', anchor);
end
$$;

-- The counters that `p_windows` (null: all that there can be) have at `p_at`.
create function forge_quota_rows(p_tenant uuid, p_key uuid, p_windows jsonb, p_anchor integer, p_at timestamptz)
returns table (subject_id uuid, per text, starts_at timestamptz, ends_at timestamptz)
language sql stable rows 4 as $$
  select s.id, w ->> 'per', p.starts_at, p.ends_at
  from jsonb_array_elements(coalesce(p_windows, '[
    {"each":"tenant","per":"minute"}, {"each":"tenant","per":"hour"}, {"each":"tenant","per":"day"}, {"each":"tenant","per":"month"},
    {"each":"api_key","per":"minute"}, {"each":"api_key","per":"hour"}, {"each":"api_key","per":"day"}, {"each":"api_key","per":"month"}
  ]')) w
  cross join lateral (select case w ->> 'each' when 'api_key' then p_key else p_tenant end as id) s
  cross join lateral forge_quota_period(w ->> 'per', p_at, p_anchor) p
  where s.id is not null
$$;

-- Locks those counters until the end of the transaction: tenant before API key, then by name, everywhere, so that two
-- callers cannot deadlock.
create function forge_quota_lock(
  p_tenant uuid, p_key uuid, p_quota text, p_windows jsonb, p_anchor integer, p_at timestamptz
) returns void language plpgsql as $$
begin
  perform 1
  from forge_quota_rows(p_tenant, p_key, p_windows, p_anchor, p_at) k
  join forge_quota_counters c on c.tenant_id = p_tenant and c.subject_id = k.subject_id and c.quota = p_quota
    and c.per = k.per and c.starts_at = k.starts_at
  order by c.subject_id = c.tenant_id desc, c.per
  for update of c;
end
$$;

-- Where each window of `p_windows` stands at `p_at`. What is reserved counts as used. Minutes and hours slide: what the
-- period before has used counts by the part of it that lies less than a whole window back.
create function forge_quota_standing(
  p_tenant uuid, p_key uuid, p_quota text, p_windows jsonb, p_anchor integer, p_at timestamptz
) returns table (
  subject_id uuid, each text, per text, allowed bigint, hard boolean, levels jsonb,
  starts_at timestamptz, ends_at timestamptz, used bigint, previous bigint, carried bigint, told smallint
) language sql stable rows 4 as $$
  select s.id, w ->> 'each', w ->> 'per', (w ->> 'limit')::bigint, (w ->> 'hard')::boolean, w -> 'levels',
    p.starts_at, p.ends_at,
    coalesce(c.used, 0) + h.current, coalesce(b.used, 0) + h.previous,
    ceil((coalesce(b.used, 0) + h.previous)
      * extract(epoch from p.ends_at - p_at)::numeric / extract(epoch from p.ends_at - p.starts_at)::numeric)::bigint,
    coalesce(c.told, 0::smallint)
  from jsonb_array_elements(p_windows) w
  cross join lateral (select case w ->> 'each' when 'api_key' then p_key else p_tenant end as id) s
  cross join lateral forge_quota_period(w ->> 'per', p_at, p_anchor) p
  cross join lateral (
    select case when w ->> 'per' in ('minute', 'hour') then p.starts_at - ('1 ' || (w ->> 'per'))::interval else p.starts_at end as at
  ) f
  left join forge_quota_counters c
    on c.tenant_id = p_tenant and c.subject_id = s.id and c.quota = p_quota and c.per = w ->> 'per'
    and c.starts_at = p.starts_at
  left join forge_quota_counters b
    on b.tenant_id = p_tenant and b.subject_id = s.id and b.quota = p_quota and b.per = w ->> 'per'
    and b.starts_at = f.at and f.at < p.starts_at
  cross join lateral (
    select coalesce(sum(r.cost) filter (where r.reserved_at >= p.starts_at), 0)::bigint as current,
      coalesce(sum(r.cost) filter (where r.reserved_at < p.starts_at), 0)::bigint as previous
    from forge_quota_reservations r
    where r.tenant_id = p_tenant and r.quota = p_quota and r.reserved_at >= f.at and r.reserved_at < p.ends_at
      and r.expires_at > p_at and (w ->> 'each' = 'tenant' or r.key_id = p_key)
  ) h
  where s.id is not null
$$;

-- Takes each of `p_costs` that fits into all hard windows, in order; with `p_reservation`, holds the one cost until
-- `p_lease` is over instead. `p_policies`: windows of this quota by plan. `p_now` null: the server's time.
create function forge_quota_take(
  p_tenant uuid, p_key uuid, p_quota text, p_costs bigint[], p_policies jsonb, p_default text, p_now timestamptz,
  p_reservation uuid, p_lease interval
) returns jsonb language plpgsql as $$
declare
  v_at timestamptz;
  v_plan text;
  v_anchor integer;
  v_windows jsonb;
  v_standing jsonb;
  v_room bigint;
  v_cost bigint;
  v_granted boolean[] := '{}';
  v_total bigint := 0;
  v_events jsonb;
begin
  select plan, anchor_day into v_plan, v_anchor from forge_quota_assignments where tenant_id = p_tenant;
  loop
    v_plan := coalesce(v_plan, p_default);
    v_anchor := coalesce(v_anchor, 1);
    v_windows := p_policies -> v_plan;
    if v_windows is null or v_windows = '[]' then
      return jsonb_build_object('plan', v_plan, 'fault', case when v_windows is null then 'plan' else 'absent' end);
    end if;
    v_at := coalesce(p_now, clock_timestamp());
    insert into forge_quota_counters (tenant_id, subject_id, quota, per, starts_at, ends_at)
    select p_tenant, k.subject_id, p_quota, k.per, k.starts_at, k.ends_at
    from forge_quota_rows(p_tenant, p_key, v_windows, v_anchor, v_at) k
    order by k.subject_id = p_tenant desc, k.per
    on conflict do nothing;
    perform forge_quota_lock(p_tenant, p_key, p_quota, v_windows, v_anchor, v_at);
    -- The plan may have changed while this waited for the lock.
    perform 1 from forge_quota_assignments
    where tenant_id = p_tenant and (plan <> v_plan or anchor_day <> v_anchor);
    exit when not found;
    select plan, anchor_day into v_plan, v_anchor from forge_quota_assignments where tenant_id = p_tenant;
  end loop;

  select jsonb_agg(to_jsonb(s)), min(s.allowed - s.used - s.carried) filter (where s.hard) into v_standing, v_room
  from forge_quota_standing(p_tenant, p_key, p_quota, v_windows, v_anchor, v_at) s;

  foreach v_cost in array p_costs loop
    if v_room is null or v_total + v_cost <= v_room then
      v_total := v_total + v_cost;
      v_granted := v_granted || true;
    else
      v_granted := v_granted || false;
    end if;
  end loop;

  if v_total > 0 then
    with crossed as (
      select s.*, l.level::smallint as level
      from jsonb_to_recordset(v_standing) as s (
        subject_id uuid, per text, starts_at timestamptz, used bigint, carried bigint, allowed bigint, levels jsonb, told smallint
      ), jsonb_array_elements_text(s.levels) l (level)
      where l.level::smallint > s.told and (s.used + s.carried + v_total) * 100 >= s.allowed * l.level::smallint
    ), stored as (
      insert into forge_quota_events (tenant_id, subject_id, quota, per, starts_at, level, used, allowed, occurred_at)
      select p_tenant, subject_id, p_quota, per, starts_at, level, used + carried + v_total, allowed, v_at from crossed
      returning *
    )
    select jsonb_agg(to_jsonb(stored) order by level) into v_events from stored;

    -- A reservation writes its counters too: whoever decides on an older snapshot fails then, instead of missing it.
    update forge_quota_counters c set
      used = least(c.used + case when p_reservation is null then v_total else 0 end, 9007199254740991),
      allowed = s.allowed,
      told = greatest(c.told, (select max((e ->> 'level')::smallint) from jsonb_array_elements(v_events) e
        where (e ->> 'subject_id')::uuid = c.subject_id and e ->> 'per' = c.per))
    from jsonb_to_recordset(v_standing) as s (subject_id uuid, per text, starts_at timestamptz, allowed bigint)
    where c.tenant_id = p_tenant and c.subject_id = s.subject_id and c.quota = p_quota and c.per = s.per
      and c.starts_at = s.starts_at;

    if p_reservation is not null then
      insert into forge_quota_reservations (id, tenant_id, key_id, quota, cost, reserved_at, expires_at)
      values (p_reservation, p_tenant, p_key, p_quota, v_total, v_at, v_at + p_lease);
    end if;
  end if;

  return jsonb_build_object('plan', v_plan, 'at', v_at, 'granted', to_jsonb(v_granted), 'total', v_total,
    'windows', v_standing, 'events', coalesce(v_events, '[]'));
end
$$;

create function forge_quota_anchor_of(p_tenant uuid) returns integer language sql stable as $$
  select coalesce((select anchor_day from forge_quota_assignments where tenant_id = p_tenant), 1)::integer
$$;

-- Adds `p_cost` (negative: gives back) to the periods of `p_at`.
create function forge_quota_add(p_tenant uuid, p_key uuid, p_quota text, p_cost bigint, p_at timestamptz)
returns void language plpgsql as $$
declare
  v_anchor integer := forge_quota_anchor_of(p_tenant);
begin
  perform forge_quota_lock(p_tenant, p_key, p_quota, null, v_anchor, p_at);
  update forge_quota_counters c set used = least(greatest(c.used + p_cost, 0), 9007199254740991)
  from forge_quota_rows(p_tenant, p_key, null, v_anchor, p_at) k
  where c.tenant_id = p_tenant and c.subject_id = k.subject_id and c.quota = p_quota
    and c.per = k.per and c.starts_at = k.starts_at;
end
$$;

-- Turns a living reservation into usage of the periods in which it was made. `p_cost` null: all of it.
create function forge_quota_commit(p_reservation uuid, p_cost bigint, p_now timestamptz)
returns text language plpgsql as $$
declare
  r forge_quota_reservations;
begin
  select * into r from forge_quota_reservations where id = p_reservation;
  if not found then
    return 'gone';
  end if;
  if p_cost > r.cost then
    return 'cost';
  end if;
  perform forge_quota_lock(r.tenant_id, r.key_id, r.quota, null, forge_quota_anchor_of(r.tenant_id), r.reserved_at);
  -- Asked behind the lock: the lease may have ended meanwhile, and its units may belong to others.
  delete from forge_quota_reservations where id = p_reservation and expires_at > coalesce(p_now, clock_timestamp());
  if not found then
    return 'gone';
  end if;
  perform forge_quota_add(r.tenant_id, r.key_id, r.quota, coalesce(p_cost, r.cost), r.reserved_at);
  return 'done';
end
$$;
