drop index forge_uploads_overdue;
create index forge_uploads_overdue on forge_uploads (expires_at) where state <> 'ready';

alter table forge_uploads drop column staged;
delete from forge_uploads where state = 'removed';
alter table forge_uploads drop constraint forge_uploads_state_check;
alter table forge_uploads add constraint forge_uploads_state_check check (state in ('pending', 'ready', 'refused'));
