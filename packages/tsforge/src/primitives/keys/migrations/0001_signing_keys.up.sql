create table forge_keys_signing_keys (
  kid text primary key check (kid ~ '^[A-Za-z0-9_-]{1,64}$'),
  algorithm text not null check (algorithm in ('EdDSA', 'ES256', 'RS256', 'HS256')),
  state text not null check (state in ('next', 'active', 'retired')),
  -- Null for HS256, whose only half is secret.
  public_jwk jsonb,
  -- Private JWK, sealed with a key derived from the app's secret and bound to the kid. Erased on retirement
  -- where the public half is enough to verify.
  private_jwk text,
  created_at timestamptz not null,
  not_before timestamptz not null,
  activated_at timestamptz,
  retired_at timestamptz,
  expires_at timestamptz,
  check ((public_jwk is null) = (algorithm = 'HS256')),
  check (private_jwk is not null or (state = 'retired' and algorithm <> 'HS256')),
  check ((state = 'next') = (activated_at is null)),
  check ((state = 'retired') = (retired_at is not null and expires_at is not null))
);

-- At most one key signs and at most one waits.
create unique index forge_keys_signing_keys_one_of_each on forge_keys_signing_keys (state) where state <> 'retired';
