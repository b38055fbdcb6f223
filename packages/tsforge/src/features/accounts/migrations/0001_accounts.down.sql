drop table forge_accounts_throttles;
drop table forge_accounts_revocations;
drop table forge_accounts_refresh_tokens;
drop table forge_accounts_sessions;
drop table forge_accounts_users;
drop function forge_accounts_user_ended();
drop function forge_accounts_revoked();
