drop function forge_jobs_sweep(float8);
drop function forge_jobs_retry(bigint[]);
drop function forge_jobs_revive(bigint[], float8, float8);
drop function forge_jobs_cancel(bigint[]);
drop function forge_jobs_stop(bigint[]);
drop function forge_jobs_leave(text);
drop function forge_jobs_isolate(text, integer, bigint[], bigint[]);
drop function forge_jobs_heartbeat(text, integer, text);
drop function forge_jobs_rescue(float8, float8, text);
