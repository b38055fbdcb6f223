-- Lives for seconds, so that losing it in a crash costs its callers one more question.
create unlogged table forge_realtime_tickets (
  hash bytea primary key,
  actor jsonb not null,
  expires_at timestamptz not null
);

create index forge_realtime_tickets_expiry on forge_realtime_tickets (expires_at);
