DROP INDEX users_role_email_key;
