drop function forge_events_sweep(float8, float8, integer);
drop function forge_events_drop(float8);
drop function forge_events_settle(text, bigint, bigint, bigint, json, json);
drop function forge_events_claim(text[], text, float8);
drop function forge_events_declare(json);
drop table forge_events_inbox, forge_events_parked, forge_events_subscriptions;
