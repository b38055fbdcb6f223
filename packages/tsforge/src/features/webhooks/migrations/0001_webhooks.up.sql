create table forge_webhooks_endpoints (
  id uuid primary key,
  tenant_id uuid not null,
  url text not null,
  description text not null,
  -- Kinds of events, or texts with a final *.
  events text[] not null,
  signature text not null check (signature in ('standard', 'standard_ed25519', 'timestamped')),
  format text not null check (format in ('standard', 'cloudevents')),
  -- Names may be seen, values are sealed.
  header_names text[] not null,
  headers text,
  -- [{ "sealed": text, "until": milliseconds | null }], newest first.
  secrets jsonb not null,
  -- Per second.
  rate integer check (rate > 0),
  concurrency integer check (concurrency > 0),
  ordered boolean not null,
  enabled boolean not null,
  disabled_reason text check (disabled_reason in ('manual', 'gone', 'failing')),
  disabled_at timestamptz,
  metadata jsonb not null,
  version integer not null default 1,
  created_at timestamptz not null,
  created_by uuid,
  updated_at timestamptz not null,
  updated_by uuid,
  deleted_at timestamptz,
  deleted_by uuid
);
create index forge_webhooks_endpoints_tenant on forge_webhooks_endpoints (tenant_id, id) where deleted_at is null;

-- How an endpoint fares: written with each attempt, so that the endpoint's own row is not. Its lock orders what is done for it.
create table forge_webhooks_flows (
  endpoint_id uuid primary key references forge_webhooks_endpoints on delete cascade,
  -- The next place that its rate leaves free.
  free_at timestamptz,
  -- In a row, of the kind that an outage makes.
  failures integer not null default 0,
  -- The first failure after the last success.
  failing_since timestamptz,
  -- Nothing is sent before, but by the one that then tries.
  rests_until timestamptz
);

create table forge_webhooks_messages (
  id uuid primary key,
  tenant_id uuid not null,
  -- What receivers know it by.
  event_id text not null,
  type text not null,
  -- Exactly what is sent, in the forms that were asked for.
  body text,
  cloud_event text,
  created_at timestamptz not null,
  constraint forge_webhooks_messages_event unique (tenant_id, event_id)
);
create index forge_webhooks_messages_tenant on forge_webhooks_messages (tenant_id, id);
create index forge_webhooks_messages_age on forge_webhooks_messages (created_at);

create table forge_webhooks_deliveries (
  id uuid primary key,
  -- The order of ordered endpoints.
  seq bigint generated always as identity,
  tenant_id uuid not null,
  endpoint_id uuid not null references forge_webhooks_endpoints on delete cascade,
  message_id uuid not null references forge_webhooks_messages on delete cascade,
  -- As the endpoint wanted it when the message came: attempts are alike, byte for byte.
  format text not null check (format in ('standard', 'cloudevents')),
  state text not null check (state in ('pending', 'succeeded', 'failed', 'cancelled')),
  -- All, and those since it was last begun.
  attempts integer not null default 0,
  tries integer not null default 0,
  next_at timestamptz,
  -- Its place in the rate of the endpoint.
  slot_at timestamptz,
  leased_until timestamptz,
  -- For a place or its turn; to be called when there is one.
  waiting boolean not null default false,
  job_id bigint,
  last_status integer,
  last_error text,
  created_at timestamptz not null,
  settled_at timestamptz,
  constraint forge_webhooks_deliveries_once unique (endpoint_id, message_id)
);
create index forge_webhooks_deliveries_endpoint on forge_webhooks_deliveries (endpoint_id, id);
create index forge_webhooks_deliveries_message on forge_webhooks_deliveries (message_id);
create index forge_webhooks_deliveries_open on forge_webhooks_deliveries (endpoint_id, seq) where state = 'pending';
-- Looked at before each attempt, however many are pending.
create index forge_webhooks_deliveries_leased on forge_webhooks_deliveries (endpoint_id, leased_until)
  where state = 'pending' and leased_until is not null;
create index forge_webhooks_deliveries_waiting on forge_webhooks_deliveries (endpoint_id, seq) where state = 'pending' and waiting;

create table forge_webhooks_attempts (
  id uuid primary key,
  tenant_id uuid not null,
  endpoint_id uuid not null,
  delivery_id uuid not null references forge_webhooks_deliveries on delete cascade,
  number integer not null,
  ok boolean not null,
  status integer,
  error text,
  url text not null,
  -- The one that was dialled.
  address text,
  duration_ms integer not null,
  request_headers jsonb not null,
  response_headers jsonb,
  response_body text,
  response_clipped boolean not null default false,
  started_at timestamptz not null
);
create index forge_webhooks_attempts_delivery on forge_webhooks_attempts (delivery_id, id);
create index forge_webhooks_attempts_endpoint on forge_webhooks_attempts (endpoint_id, started_at);
