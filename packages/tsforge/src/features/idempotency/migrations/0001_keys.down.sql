drop table forge_idempotency_keys;
