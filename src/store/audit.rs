//! The trail in a database: one body, whatever the engine; the SQL is the engine's own.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::{Postgres, Sqlite};
use uuid::Uuid;

use super::{
    Failure,
    database::{Database, Engine, Transaction},
    row::EntryRow,
};
use crate::domain::{
    audit::{Actor, AuditStore, Cursor, Entry},
    users::{Role, StoreError, UserId},
};

/// The trail in one database.
pub(super) struct Trail<DB: Engine>(pub(super) Database<DB>);

/// A macro for the same reason as that of users.
macro_rules! audit_store {
    ($($engine:ty),*) => {$(
        impl Trail<$engine> {
            /// Writes the entry, if there is one, as a part of what it tells of.
            pub(super) async fn note(
                transaction: &mut Transaction<$engine>,
                entry: Option<&Entry>,
            ) -> Result<(), Failure> {
                let Some(entry) = entry else { return Ok(()) };
                let actor = match entry.actor {
                    Actor::Admin(id) => Some(id.0),
                    Actor::CommandLine => None,
                };
                let insert = transaction.execute(&<$engine>::STATEMENTS.insert_entry, |query| {
                    query
                        .bind(entry.id.0)
                        .bind(entry.at)
                        .bind(actor)
                        .bind(entry.action.as_str())
                        .bind(entry.subject.0)
                        .bind(entry.field_names())
                        .bind(entry.role.map(Role::as_str))
                        .bind(entry.request_id.as_deref())
                });
                insert.await.map(drop)
            }
        }

        #[async_trait]
        impl AuditStore for Trail<$engine> {
            async fn list(
                &self,
                subject: Option<UserId>,
                after: Option<Cursor>,
                limit: u32,
            ) -> Result<Vec<Entry>, StoreError> {
                let statements = <$engine>::STATEMENTS;
                let before = after.map_or(Uuid::max(), |Cursor(id)| id.0);
                let limit = i64::from(limit);
                let rows: Vec<EntryRow> = match subject {
                    None => self.0.fetch_all(&statements.list_entries, |query| query.bind(before).bind(limit)).await?,
                    Some(subject) => {
                        let list = &statements.list_entries_of_subject;
                        self.0.fetch_all(list, |query| query.bind(before).bind(limit).bind(subject.0)).await?
                    }
                };
                rows.into_iter().map(Entry::try_from).collect()
            }

            async fn sweep(&self, until: DateTime<Utc>, limit: u32) -> Result<u64, StoreError> {
                let sweep = &<$engine>::STATEMENTS.sweep_entries;
                Ok(self.0.execute(sweep, |query| query.bind(until).bind(i64::from(limit))).await?)
            }
        }
    )*};
}

audit_store!(Sqlite, Postgres);
