-- A page of members, oldest first, however many there are.
create index forge_tenants_memberships_joined on forge_tenants_memberships (tenant_id, created_at, user_id);
