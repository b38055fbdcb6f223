create table forge_idempotency_keys (
  -- SHA-256 over scope and key: neither can be read back.
  id text primary key check (length(id) = 43),
  -- Fencing token of the holder.
  token uuid not null,
  -- Fingerprint of the request, sealed with a key derived from the app's secret and bound to the id.
  request text not null,
  -- Status, headers and body, sealed likewise. Null while the work runs.
  answer text,
  -- All times are the server's own.
  lease_until timestamptz not null,
  created_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null
);

-- What is sealed cannot be compressed.
alter table forge_idempotency_keys alter column answer set storage external;

create index forge_idempotency_keys_expiry on forge_idempotency_keys (expires_at);
