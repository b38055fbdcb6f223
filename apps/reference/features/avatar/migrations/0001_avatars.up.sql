create table avatars (
  tenant_id uuid not null,
  user_id uuid not null,
  upload_id uuid not null,
  updated_at timestamptz not null,
  primary key (tenant_id, user_id)
);
