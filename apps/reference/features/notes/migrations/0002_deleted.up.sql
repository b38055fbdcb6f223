-- For what removes them for good.
create index notes_deleted on notes (deleted_at) where deleted_at is not null;
