drop function forge_jobs_step(text, text, integer, text[], integer, bigint[], bigint[], bigint[], bigint[], bigint[], bigint[],
  integer[], json, bigint[], bigint[], text, boolean, boolean, boolean);
drop function forge_jobs_pick_limited(text, text[], integer);
drop function forge_jobs_settle(json, bigint[]);
