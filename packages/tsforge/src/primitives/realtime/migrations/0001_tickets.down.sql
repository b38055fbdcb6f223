drop table forge_realtime_tickets;
