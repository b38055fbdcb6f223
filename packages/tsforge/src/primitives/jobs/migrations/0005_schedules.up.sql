-- What runs when. `next_at` is the first tick that has not been dealt with; it moves in the commit that adds the jobs.
create table forge_jobs_schedules (
  name text primary key,
  cron text,
  every_ms bigint,
  anchor timestamptz,
  time_zone text not null,
  catch_up text not null check (catch_up in ('skip', 'one', 'all')),
  catch_up_limit integer not null,
  description text,
  kind text not null,
  -- The job of each tick without its time. As text: it is compared with what the code declares.
  job text not null,
  -- The app that declares it in its code; null: made at run time.
  origin text,
  enabled boolean not null,
  paused_at timestamptz,
  -- Since when the code does not declare it any more.
  retired_at timestamptz,
  next_at timestamptz not null,
  -- When to look at it: at the next tick, or later when its last try has failed.
  wake_at timestamptz not null,
  last_at timestamptz,
  last_job bigint,
  ticks bigint not null default 0,
  error text,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  check ((cron is null) = (every_ms is not null) and (every_ms is null) = (anchor is null))
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_cost_delay = 0);

create index forge_jobs_schedules_wake on forge_jobs_schedules (wake_at)
  where enabled and paused_at is null and retired_at is null;
