//! Statements: the only SQL there is, each with the words by which signals know it.

use super::call::Effect;

/// One SQL statement. Placeholders, never values: its text is in every span.
#[derive(Debug)]
pub struct Statement {
    /// `db.operation.name`: `SELECT`.
    pub operation: &'static str,
    /// `db.collection.name`, the table; empty where there is none.
    pub collection: &'static str,
    /// `db.query.summary` and the span's name: `SELECT users by email`. Unique: metrics, slow lines and faults identify
    /// the statement by it.
    pub summary: &'static str,
    /// `db.query.text`: what the database sees.
    pub sql: &'static str,
}

impl Statement {
    /// Whether running it twice is as good as running it once.
    pub(super) fn is_read(&self) -> bool {
        self.operation == "SELECT"
    }

    /// Its effect outside of a transaction.
    pub(super) fn effect(&self) -> Effect {
        if self.is_read() { Effect::Revocable } else { Effect::Final }
    }
}

/// Declares [`Statements`] and, for the engines to fill in, [`Sql`]: so no engine can lack a statement, none can
/// have one of its own, and all of them can be listed. Where several statements share operation and table, a third
/// literal distinguishes them: by which columns they look, or what they write. A test compares the summaries.
macro_rules! statements {
    ($($(#[$meaning:meta])* $name:ident: $operation:literal $($collection:literal $($qualifier:literal)?)?;)*) => {
        /// The text of every statement, as one engine writes it.
        #[derive(Debug)]
        pub struct Sql { $($(#[$meaning])* pub $name: &'static str,)* }

        /// Every statement of one engine.
        #[derive(Debug)]
        pub struct Statements { $($(#[$meaning])* pub $name: Statement,)* }

        impl Statements {
            /// Gives each text the words that it is known by.
            #[must_use]
            pub const fn new(sql: Sql) -> Self {
                Self {
                    $($name: Statement {
                        operation: $operation,
                        collection: concat!($($collection)?),
                        summary: concat!($operation $(, " ", $collection $(, " ", $qualifier)?)?),
                        sql: sql.$name,
                    },)*
                }
            }

            /// Each with its name, in the order in which they are declared.
            #[must_use]
            pub fn all(&self) -> Vec<(&'static str, &Statement)> {
                vec![$((stringify!($name), &self.$name)),*]
            }
        }
    };
}

statements! {
    /// Begins a transaction that is going to write.
    begin: "BEGIN";
    /// Keeps what the transaction did.
    commit: "COMMIT";
    /// Forgets what the transaction did.
    rollback: "ROLLBACK";
    /// Asks for nothing but an answer.
    ping: "SELECT";
    /// newest known migration.
    check_schema: "SELECT" "_sqlx_migrations";

    /// id, email, `email_key`, name, role, `password_hash`, version, `created_at`, `updated_at`.
    insert_user: "INSERT" "users";
    /// id.
    get_user: "SELECT" "users" "by id";
    /// `email_key`.
    get_credentials: "SELECT" "users" "by email";
    /// id.
    get_password: "SELECT" "users" "password by id";
    /// id to begin after, limit.
    list_users: "SELECT" "users" "page";
    /// id to begin after, limit, role.
    list_users_by_role: "SELECT" "users" "page by role";
    /// lowest key, limit, key above.
    list_users_by_prefix: "SELECT" "users" "page by email prefix";
    /// lowest key, limit, key above, role.
    list_users_by_role_and_prefix: "SELECT" "users" "page by role and email prefix";
    /// id, expected version, email, `email_key`, name, role, version, `updated_at`.
    update_user: "UPDATE" "users" "by version";
    /// id, old hash, new hash.
    update_password: "UPDATE" "users" "password";
    /// id, expected role.
    delete_user: "DELETE" "users" "by id";
    /// id, expected role, expected version.
    delete_user_version: "DELETE" "users" "by version";
    /// Two admins, which stay as they are until the transaction ends.
    lock_admins: "SELECT" "users" "admins";

    /// id, user, family, secret, `created_at`, `expires_at`, hash of the password shown.
    insert_session: "INSERT" "sessions";
    /// id, now.
    recognise_session: "SELECT" "sessions";
    /// family, secret shown, next secret, now, new end, salt.
    rotate_session: "UPDATE" "sessions";
    /// family, secret shown, now, earliest rotation.
    get_rotated_session: "SELECT" "sessions" "rotated";
    /// family, now.
    end_reused_session: "DELETE" "sessions" "by family";
    /// user, id to keep, how many others are kept.
    end_oldest_sessions: "DELETE" "sessions" "oldest by user";
    /// id.
    end_session: "DELETE" "sessions" "by id";
    /// user.
    end_sessions: "DELETE" "sessions" "by user";
    /// user, id to keep.
    end_other_sessions: "DELETE" "sessions" "by user except id";
    /// nothing.
    get_newest_expiry: "SELECT" "sessions" "newest expiry";
    /// now, limit.
    sweep_sessions: "DELETE" "sessions" "expired";

    /// digest, user, time of the sign-in.
    upsert_network: "INSERT" "known_networks";
    /// digest.
    get_network: "SELECT" "known_networks";
    /// user, how many are kept.
    delete_oldest_networks: "DELETE" "known_networks";

    /// digest of the key, digest of the request, user, `password_hash`, `registered_at`.
    insert_receipt: "INSERT" "idempotency_keys";
    /// digest of the key.
    get_receipt: "SELECT" "idempotency_keys";
    /// until, limit.
    sweep_receipts: "DELETE" "idempotency_keys";

    /// id, at, actor, action, subject, fields, role, `request_id`.
    insert_entry: "INSERT" "audit";
    /// id to begin before, limit.
    list_entries: "SELECT" "audit" "page";
    /// id to begin before, limit, subject.
    list_entries_of_subject: "SELECT" "audit" "page by subject";
    /// until, limit.
    sweep_entries: "DELETE" "audit";
}
