-- Who may not get mails.
create table forge_mail_suppressions (
  id uuid primary key,
  -- null: of all tenants, since nobody reads there.
  tenant_id uuid,
  -- In lower case.
  address text not null,
  -- null: all kinds of mails.
  category text,
  reason text not null check (reason in ('unsubscribed', 'bounced', 'complained', 'manual')),
  detail text,
  created_at timestamptz not null,
  created_by uuid
);

create unique index forge_mail_suppressions_entry on forge_mail_suppressions
  (address, coalesce(tenant_id, '00000000-0000-0000-0000-000000000000'), coalesce(category, ''));
create index forge_mail_suppressions_tenant on forge_mail_suppressions (tenant_id, created_at, id);
