create table forge_accounts_users (
  id uuid primary key,
  -- As its owner writes it; the normalized form decides identity.
  email text not null,
  email_normalized text not null,
  password_hash text not null,
  name text not null,
  role text not null default 'user',
  status text not null default 'active' check (status in ('active', 'disabled')),
  password_changed_at timestamptz not null,
  created_at timestamptz not null,
  created_by uuid,
  updated_at timestamptz not null,
  updated_by uuid,
  deleted_at timestamptz,
  deleted_by uuid,
  version integer not null default 1
);

-- A deleted account gives its address free.
create unique index forge_accounts_users_email on forge_accounts_users (email_normalized) where deleted_at is null;

create table forge_accounts_sessions (
  id uuid primary key,
  user_id uuid not null references forge_accounts_users (id) on delete cascade,
  user_agent text,
  ip text,
  created_at timestamptz not null,
  last_used_at timestamptz not null,
  -- Idle limit: moved forward by each refresh, never beyond the absolute one.
  expires_at timestamptz not null,
  absolute_expires_at timestamptz not null,
  revoked_at timestamptz,
  revoked_reason text,
  check (expires_at <= absolute_expires_at)
);
create index forge_accounts_sessions_live on forge_accounts_sessions (user_id, last_used_at) where revoked_at is null;
create index forge_accounts_sessions_user on forge_accounts_sessions (user_id);
create index forge_accounts_sessions_expiry on forge_accounts_sessions (expires_at);

create table forge_accounts_refresh_tokens (
  -- SHA-256 of the token, base64url. The token itself is nowhere.
  hash text primary key,
  session_id uuid not null references forge_accounts_sessions (id) on delete cascade,
  issued_at timestamptz not null,
  expires_at timestamptz not null,
  used_at timestamptz,
  replaced_by text,
  -- The pair that replaced this token, for a client that lost the answer. Sealed under a key that only the
  -- token yields, and erased as soon as the successor is used or the grace window has passed.
  successor text,
  check ((used_at is null) = (replaced_by is null)),
  check (successor is null or used_at is not null)
);
create index forge_accounts_refresh_tokens_session on forge_accounts_refresh_tokens (session_id);
create index forge_accounts_refresh_tokens_expiry on forge_accounts_refresh_tokens (expires_at);
create index forge_accounts_refresh_tokens_sealed on forge_accounts_refresh_tokens (used_at) where successor is not null;

-- What replicas have to refuse. Small: rows leave once no access token of the session can be alive.
create table forge_accounts_revocations (
  session_id uuid primary key,
  -- The revoking transaction. A reader goes on from the oldest transaction that was still running, so that
  -- one which commits late is not missed.
  xid xid8 not null default pg_current_xact_id(),
  revoked_at timestamptz not null default now()
);
create index forge_accounts_revocations_xid on forge_accounts_revocations (xid);

-- By trigger, so that a revocation by hand in psql reaches every replica too.
create function forge_accounts_revoked() returns trigger language plpgsql as $$
begin
  insert into forge_accounts_revocations (session_id) values (old.id) on conflict (session_id) do nothing;
  perform pg_notify('forge_accounts_sessions', '');
  return null;
end
$$;
create trigger forge_accounts_sessions_revoked after update of revoked_at on forge_accounts_sessions
  for each row when (old.revoked_at is null and new.revoked_at is not null) execute function forge_accounts_revoked();
create trigger forge_accounts_sessions_deleted after delete on forge_accounts_sessions
  for each row when (old.revoked_at is null) execute function forge_accounts_revoked();

-- Whoever disables or deletes a user, and however, ends the sessions in the same transaction.
create function forge_accounts_user_ended() returns trigger language plpgsql as $$
begin
  update forge_accounts_sessions set revoked_at = now(), revoked_reason = 'user_disabled'
  where user_id = new.id and revoked_at is null;
  return null;
end
$$;
create trigger forge_accounts_users_ended after update of status, deleted_at on forge_accounts_users
  for each row when (new.status <> 'active' or new.deleted_at is not null) execute function forge_accounts_user_ended();

create table forge_accounts_throttles (
  -- SHA-256 of what is counted: an account and a network, a network, or an account.
  key text primary key,
  failures integer not null default 0,
  last_at timestamptz,
  -- When a login of this account from this network last succeeded.
  succeeded_at timestamptz,
  expires_at timestamptz not null
);
create index forge_accounts_throttles_expiry on forge_accounts_throttles (expires_at);
