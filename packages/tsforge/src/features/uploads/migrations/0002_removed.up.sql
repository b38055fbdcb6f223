-- removed: gone for everybody, but for its files.
alter table forge_uploads drop constraint forge_uploads_state_check;
alter table forge_uploads add constraint forge_uploads_state_check check (state in ('pending', 'ready', 'refused', 'removed'));
-- Something lies, or may still come, where the link of the upload stores: links outlive what is done by them.
alter table forge_uploads add column staged boolean not null default true;

drop index forge_uploads_overdue;
create index forge_uploads_overdue on forge_uploads (expires_at) where staged;
