drop table forge_uploads;
