-- One row per mail of sendLater, under its key.
create table forge_mailer_sends (
  key text primary key,
  tenant_id uuid,
  -- handed: all of the mail is about to be, or has been, given to the server; only its answer is missing.
  state text not null check (state in ('queued', 'sending', 'handed', 'accepted', 'unknown', 'failed', 'suppressed')),
  on_unknown text not null check (on_unknown in ('accept', 'retry')),
  message_id text not null,
  -- Gone when the mail has ended: it may hold links that only its reader should have.
  message jsonb,
  -- Whom it still has to reach.
  recipients text[] not null,
  -- Which run sends it: of two that believe they do, one hands it over.
  claim uuid,
  attempts integer not null default 0,
  error text,
  response text,
  created_at timestamptz not null,
  created_by uuid,
  updated_at timestamptz not null,
  ended_at timestamptz
);

create index forge_mailer_sends_ended on forge_mailer_sends (ended_at) where ended_at is not null;
