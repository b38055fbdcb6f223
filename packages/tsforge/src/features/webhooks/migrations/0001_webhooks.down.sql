drop table forge_webhooks_attempts;
drop table forge_webhooks_deliveries;
drop table forge_webhooks_messages;
drop table forge_webhooks_flows;
drop table forge_webhooks_endpoints;
