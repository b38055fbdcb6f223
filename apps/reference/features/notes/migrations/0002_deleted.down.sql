drop index notes_deleted;
