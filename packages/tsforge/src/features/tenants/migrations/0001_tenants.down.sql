drop table forge_tenants_memberships;
drop table forge_tenants;
