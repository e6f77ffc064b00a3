-- For the list of users with a role whose addresses have a prefix.
CREATE INDEX users_role_email_key ON users (role, email_key);
