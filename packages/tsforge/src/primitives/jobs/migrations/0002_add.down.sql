drop function forge_jobs_add_keyed(json, text);
drop function forge_jobs_add(json, text, text, integer);
drop function forge_jobs_key(text, uuid);
drop function forge_jobs_wake(text[]);
