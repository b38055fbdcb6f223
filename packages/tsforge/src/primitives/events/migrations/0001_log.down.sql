drop function forge_events_partitions(integer);
drop function forge_events_heal();
drop function forge_events_read(bigint, bigint, integer, integer, text, uuid, boolean);
drop function forge_events_close();
drop function forge_events_emit(json);
drop table forge_events_waiting, forge_events_state, forge_events_windows, forge_events;
