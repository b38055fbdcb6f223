drop table forge_keys_signing_keys;
