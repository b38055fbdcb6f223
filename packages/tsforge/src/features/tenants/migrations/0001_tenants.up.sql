create table forge_tenants (
  id uuid primary key,
  name text not null check (char_length(name) between 1 and 100),
  slug text check (slug ~ '^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$'),
  -- The user whose personal tenant this is; null for teams. Users belong to another module, which this one must
  -- work without: hence no foreign key, here and in the memberships.
  personal_of uuid unique,
  version integer not null default 1,
  created_at timestamptz not null,
  created_by uuid,
  updated_at timestamptz not null,
  updated_by uuid,
  deleted_at timestamptz,
  deleted_by uuid
);

create unique index forge_tenants_slug on forge_tenants (slug) where deleted_at is null;

create table forge_tenants_memberships (
  tenant_id uuid not null references forge_tenants (id) on delete cascade,
  user_id uuid not null,
  role text not null check (role in ('owner', 'member')),
  created_at timestamptz not null,
  created_by uuid,
  updated_at timestamptz not null,
  updated_by uuid,
  primary key (tenant_id, user_id)
);

create index forge_tenants_memberships_user on forge_tenants_memberships (user_id);
