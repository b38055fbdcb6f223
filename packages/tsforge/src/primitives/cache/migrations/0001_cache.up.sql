-- Unlogged: written at a third of the cost and empty after a crash of the server, as a cache may be. Addresses are
-- compared byte by byte, so that all entries of a namespace lie together whatever the language of the database.
create unlogged table forge_cache_entries (
  address text collate "C" primary key,
  value bytea not null,
  -- With the version that each had when the entry was stored; an entry whose tags have moved on is invisible.
  tags text[] collate "C" not null default '{}',
  versions bigint[] not null default '{}',
  expires_at timestamptz not null
);

create index forge_cache_entries_expires_at on forge_cache_entries (expires_at);

create sequence forge_cache_versions;

create unlogged table forge_cache_tags (
  address text collate "C" primary key,
  version bigint not null default nextval('forge_cache_versions'),
  invalidated_at timestamptz not null default '-infinity',
  expires_at timestamptz not null
);

create index forge_cache_tags_expires_at on forge_cache_tags (expires_at);

create unlogged table forge_cache_locks (
  address text collate "C" primary key,
  token text not null,
  expires_at timestamptz not null
);

create index forge_cache_locks_expires_at on forge_cache_locks (expires_at);
