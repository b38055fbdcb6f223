drop table forge_jobs_schedules;
