drop table forge_mailer_sends;
