//! Everything that is ever asked of SQLite.

use crate::store::database::{Sql, Statements};

/// All of it, in full.
pub const STATEMENTS: &Statements = &Statements::new(Sql {
    begin: "BEGIN IMMEDIATE",
    commit: "COMMIT",
    rollback: "ROLLBACK",
    ping: "SELECT 1",
    // The id that no row has: each table is read by its primary key, and each column is named.
    check_schema: "\
SELECT \
(SELECT count(*) FROM _sqlx_migrations WHERE success AND version <= $1) AS applied, \
'UTF8' AS encoding, \
NULL AS missing, \
EXISTS (SELECT id, email, email_key, name, role, password_hash, version, created_at, updated_at \
FROM users WHERE id = x'') AS users, \
EXISTS (SELECT id, user_id, family, secret, previous_secret, successor_salt, rotated_at, created_at, expires_at \
FROM sessions WHERE id = x'') AS sessions, \
EXISTS (SELECT key, request, user_id, password_hash, registered_at \
FROM idempotency_keys WHERE key = x'') AS idempotency_keys, \
EXISTS (SELECT id, at, actor, action, subject, fields, role, request_id \
FROM audit WHERE id = x'') AS audit, \
EXISTS (SELECT digest, user_id, last_sign_in_at \
FROM known_networks WHERE digest = x'') AS known_networks",

    insert_user: "\
INSERT INTO users (id, email, email_key, name, role, password_hash, version, created_at, updated_at) \
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    get_user: "\
SELECT id, email, name, role, version, created_at, updated_at \
FROM users WHERE id = $1",
    get_credentials: "\
SELECT id, email, name, role, version, created_at, updated_at, password_hash \
FROM users WHERE email_key = $1",
    get_password: "\
SELECT password_hash \
FROM users WHERE id = $1",
    list_users: "\
SELECT id, email, name, role, version, created_at, updated_at \
FROM users WHERE id > $1 \
ORDER BY id LIMIT $2",
    list_users_by_role: "\
SELECT id, email, name, role, version, created_at, updated_at \
FROM users WHERE role = $3 AND id > $1 \
ORDER BY id LIMIT $2",
    list_users_by_prefix: "\
SELECT id, email, name, role, version, created_at, updated_at \
FROM users WHERE email_key >= $1 AND email_key < $3 \
ORDER BY email_key LIMIT $2",
    list_users_by_role_and_prefix: "\
SELECT id, email, name, role, version, created_at, updated_at \
FROM users WHERE role = $4 AND email_key >= $1 AND email_key < $3 \
ORDER BY email_key LIMIT $2",
    update_user: "\
UPDATE users SET email = $3, email_key = $4, name = $5, role = $6, version = $7, updated_at = $8 \
WHERE id = $1 AND version = $2",
    update_password: "\
UPDATE users SET password_hash = $3 \
WHERE id = $1 AND password_hash = $2",
    delete_user: "\
DELETE FROM users \
WHERE id = $1 AND role = $2",
    delete_user_version: "\
DELETE FROM users \
WHERE id = $1 AND role = $2 AND version = $3",
    // BEGIN IMMEDIATE holds the write lock already.
    lock_admins: "\
SELECT id \
FROM users WHERE role = 'admin' \
ORDER BY id LIMIT 2",

    insert_session: "\
INSERT INTO sessions (id, user_id, family, secret, created_at, expires_at) \
SELECT $1, id, $3, $4, $5, $6 FROM users WHERE id = $2 AND password_hash = $7",
    recognise_session: "\
SELECT users.id, email, name, role, version, users.created_at, updated_at, sessions.created_at AS signed_in_at \
FROM sessions JOIN users ON users.id = sessions.user_id \
WHERE sessions.id = $1 AND expires_at > $2",
    rotate_session: "\
UPDATE sessions SET secret = $3, expires_at = $5, previous_secret = secret, successor_salt = $6, rotated_at = $4 \
WHERE family = $1 AND secret = $2 AND expires_at > $4 \
RETURNING id, user_id",
    get_rotated_session: "\
SELECT id, user_id, secret, successor_salt \
FROM sessions WHERE family = $1 AND previous_secret = $2 AND expires_at > $3 AND rotated_at >= $4",
    end_reused_session: "\
DELETE FROM sessions \
WHERE family = $1 AND expires_at > $2 \
RETURNING id, user_id",
    end_oldest_sessions: "\
DELETE FROM sessions WHERE id IN (\
SELECT id FROM sessions WHERE user_id = $1 AND id <> $2 \
ORDER BY created_at DESC, id DESC LIMIT -1 OFFSET $3)",
    end_session: "\
DELETE FROM sessions \
WHERE id = $1",
    end_sessions: "\
DELETE FROM sessions \
WHERE user_id = $1",
    end_other_sessions: "\
DELETE FROM sessions \
WHERE user_id = $1 AND id <> $2",
    get_newest_expiry: "\
SELECT expires_at \
FROM sessions ORDER BY expires_at DESC LIMIT 1",
    sweep_sessions: "\
DELETE FROM sessions WHERE id IN (\
SELECT id FROM sessions WHERE expires_at <= $1 \
ORDER BY expires_at LIMIT $2)",

    upsert_network: "\
INSERT INTO known_networks (digest, user_id, last_sign_in_at) \
VALUES ($1, $2, $3) \
ON CONFLICT (digest) DO UPDATE SET user_id = excluded.user_id, last_sign_in_at = excluded.last_sign_in_at",
    get_network: "\
SELECT user_id AS id \
FROM known_networks WHERE digest = $1",
    delete_oldest_networks: "\
DELETE FROM known_networks WHERE digest IN (\
SELECT digest FROM known_networks WHERE user_id = $1 \
ORDER BY last_sign_in_at DESC, digest LIMIT -1 OFFSET $2)",

    insert_receipt: "\
INSERT INTO idempotency_keys (key, request, user_id, password_hash, registered_at) \
VALUES ($1, $2, $3, $4, $5)",
    get_receipt: "\
SELECT request, user_id, password_hash, registered_at \
FROM idempotency_keys WHERE key = $1",
    sweep_receipts: "\
DELETE FROM idempotency_keys WHERE key IN (\
SELECT key FROM idempotency_keys WHERE registered_at <= $1 \
ORDER BY registered_at LIMIT $2)",

    insert_entry: "\
INSERT INTO audit (id, at, actor, action, subject, fields, role, request_id) \
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    list_entries: "\
SELECT id, at, actor, action, subject, fields, role, request_id \
FROM audit WHERE id < $1 \
ORDER BY id DESC LIMIT $2",
    list_entries_of_subject: "\
SELECT id, at, actor, action, subject, fields, role, request_id \
FROM audit WHERE subject = $3 AND id < $1 \
ORDER BY id DESC LIMIT $2",
    sweep_entries: "\
DELETE FROM audit WHERE id IN (\
SELECT id FROM audit WHERE at <= $1 \
ORDER BY at LIMIT $2)",
});
