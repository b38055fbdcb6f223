drop function forge_jobs_steps_sweep();
drop function forge_jobs_ended(bigint[]);
drop function forge_jobs_partitions(integer, integer);
drop view forge_jobs_view;
drop table forge_jobs_waiting, forge_jobs_progress, forge_jobs_cancels, forge_jobs_throttles, forge_jobs_rates,
  forge_jobs_queues, forge_jobs_done, forge_jobs_dead, forge_jobs_leases, forge_jobs;
