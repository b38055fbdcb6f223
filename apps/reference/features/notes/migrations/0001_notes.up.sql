create table notes (
  id uuid primary key,
  tenant_id uuid not null,
  title text not null check (title <> ''),
  body text not null,
  pinned boolean not null default false,
  created_at timestamptz not null,
  created_by uuid,
  updated_at timestamptz not null,
  updated_by uuid,
  deleted_at timestamptz,
  deleted_by uuid,
  version integer not null default 1
);

-- A deleted note gives its title free.
create unique index notes_title on notes (tenant_id, lower(title)) where deleted_at is null;
-- One for each order of the list; ids grow with time.
create index notes_by_id on notes (tenant_id, id) where deleted_at is null;
create index notes_by_title on notes (tenant_id, title, id) where deleted_at is null;
