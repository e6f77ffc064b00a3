-- no-transaction
DROP INDEX CONCURRENTLY users_role_email_key;
