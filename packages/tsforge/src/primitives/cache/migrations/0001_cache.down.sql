drop table forge_cache_locks;
drop table forge_cache_tags;
drop sequence forge_cache_versions;
drop table forge_cache_entries;
