drop table forge_mail_suppressions;
