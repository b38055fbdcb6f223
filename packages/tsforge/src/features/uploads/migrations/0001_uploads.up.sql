create table forge_uploads (
  id uuid primary key,
  tenant_id uuid not null,
  kind text not null,
  filename text not null,
  content_type text not null,
  size bigint not null check (size >= 0),
  -- In hex, as it was announced.
  sha256 text,
  state text not null check (state in ('pending', 'ready', 'refused')),
  reason text,
  -- Somebody checks the content until then.
  claimed_until timestamptz,
  expires_at timestamptz not null,
  ready_at timestamptz,
  created_at timestamptz not null,
  created_by uuid,
  updated_at timestamptz not null,
  updated_by uuid
);

create index forge_uploads_tenant on forge_uploads (tenant_id, id);
create index forge_uploads_overdue on forge_uploads (expires_at) where state <> 'ready';
