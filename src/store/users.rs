//! Users in a database: one body, whatever the engine; the SQL is the engine's own.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::{Postgres, Sqlite};
use uuid::Uuid;

use super::{
    Failure,
    audit::Trail,
    database::{Database, Engine, Writes},
    row::{CredentialsRow, PasswordRow, ReceiptRow, UserRow, one},
};
use crate::domain::{
    audit::Entry,
    auth::{PasswordHash, SessionId},
    users::{Cursor, Email, Filter, Once, Receipt, StoreError, User, UserId, UserStore, Version},
};

/// Users in one database.
pub(super) struct Users<DB: Engine>(pub(super) Database<DB>);

/// A macro and not a generic `impl`: the bounds that every bound value and row would need fill more lines than they save.
macro_rules! user_store {
    ($($engine:ty),*) => {$(
        /// Values of what is run by itself or in a transaction.
        impl Users<$engine> {
            fn bound<'q>(
                query: Writes<'q, $engine>,
                user: &'q User,
                password: &'q PasswordHash,
            ) -> Writes<'q, $engine> {
                query
                    .bind(user.id.0)
                    .bind(user.email.as_str())
                    .bind(user.email.key())
                    .bind(user.name.as_str())
                    .bind(user.role.as_str())
                    .bind(password.as_str())
                    .bind(user.version.0)
                    .bind(user.created_at)
                    .bind(user.updated_at)
            }

            fn bound_update<'q>(query: Writes<'q, $engine>, user: &'q User, expected: Version) -> Writes<'q, $engine> {
                query
                    .bind(user.id.0)
                    .bind(expected.0)
                    .bind(user.email.as_str())
                    .bind(user.email.key())
                    .bind(user.name.as_str())
                    .bind(user.role.as_str())
                    .bind(user.version.0)
                    .bind(user.updated_at)
            }

            fn bound_removal(
                query: Writes<'_, $engine>,
                id: UserId,
                expected: Option<Version>,
            ) -> Writes<'_, $engine> {
                let query = query.bind(id.0);
                if let Some(Version(expected)) = expected { query.bind(expected) } else { query }
            }
        }

        #[async_trait]
        impl UserStore for Users<$engine> {
            async fn insert(
                &self,
                user: &User,
                password: &PasswordHash,
                once: Option<&Once>,
                entry: Option<&Entry>,
            ) -> Result<(), StoreError> {
                let statements = <$engine>::STATEMENTS;
                let bind = |query| Self::bound(query, user, password);
                if once.is_none() && entry.is_none() {
                    self.0.execute(&statements.insert_user, bind).await?;
                    return Ok(());
                }
                let mut transaction = self.0.begin().await?;
                let inserted: Result<(), Failure> = async {
                    transaction.execute(&statements.insert_user, bind).await?;
                    if let Some(once) = once {
                        let insert = transaction.execute(&statements.insert_receipt, |query| {
                            let query = query.bind(once.key.as_slice()).bind(once.request.as_slice());
                            query.bind(user.id.0).bind(password.as_str()).bind(user.created_at)
                        });
                        insert.await?;
                    }
                    Trail::<$engine>::note(&mut transaction, entry).await
                }
                .await;
                Ok(transaction.end(inserted).await?)
            }

            async fn receipt(&self, key: &[u8; 32]) -> Result<Option<Receipt>, StoreError> {
                let get = &<$engine>::STATEMENTS.get_receipt;
                let row: Option<ReceiptRow> = self.0.fetch_optional(get, |query| query.bind(key.as_slice())).await?;
                row.map(Receipt::try_from).transpose()
            }

            async fn sweep_receipts(&self, until: DateTime<Utc>, limit: u32) -> Result<u64, StoreError> {
                let sweep = &<$engine>::STATEMENTS.sweep_receipts;
                Ok(self.0.execute(sweep, |query| query.bind(until).bind(i64::from(limit))).await?)
            }

            async fn get(&self, id: UserId) -> Result<Option<User>, StoreError> {
                let get = &<$engine>::STATEMENTS.get_user;
                let row: Option<UserRow> = self.0.fetch_optional(get, |query| query.bind(id.0)).await?;
                row.map(User::try_from).transpose()
            }

            async fn credentials(&self, email: &Email) -> Result<Option<(User, PasswordHash)>, StoreError> {
                let get = &<$engine>::STATEMENTS.get_credentials;
                let row: Option<CredentialsRow> = self.0.fetch_optional(get, |query| query.bind(email.key())).await?;
                row.map(TryInto::try_into).transpose()
            }

            async fn password(&self, id: UserId) -> Result<Option<PasswordHash>, StoreError> {
                let get = &<$engine>::STATEMENTS.get_password;
                let row: Option<PasswordRow> = self.0.fetch_optional(get, |query| query.bind(id.0)).await?;
                Ok(row.map(PasswordHash::from))
            }

            async fn list(&self, filter: &Filter, after: Option<Cursor>, limit: u32) -> Result<Vec<User>, StoreError> {
                let statements = <$engine>::STATEMENTS;
                let after = after.map_or(Uuid::nil(), |Cursor(id)| id.0);
                let limit = i64::from(limit);
                let rows: Vec<UserRow> = match (filter.role, &filter.email_prefix) {
                    (None, None) => {
                        self.0.fetch_all(&statements.list_users, |query| query.bind(after).bind(limit)).await?
                    }
                    (Some(role), None) => {
                        let list = &statements.list_users_by_role;
                        self.0.fetch_all(list, |query| query.bind(after).bind(limit).bind(role.as_str())).await?
                    }
                    (None, Some(prefix)) => {
                        let list = self.0.fetch_all(&statements.list_users_by_prefix, |query| {
                            query.bind(after).bind(limit).bind(prefix.lowest()).bind(prefix.above())
                        });
                        list.await?
                    }
                    (Some(role), Some(prefix)) => {
                        let list = self.0.fetch_all(&statements.list_users_by_role_and_prefix, |query| {
                            let query = query.bind(after).bind(limit).bind(prefix.lowest()).bind(prefix.above());
                            query.bind(role.as_str())
                        });
                        list.await?
                    }
                };
                rows.into_iter().map(User::try_from).collect()
            }

            async fn update(&self, user: &User, expected: Version, entry: Option<&Entry>) -> Result<(), StoreError> {
                let update = &<$engine>::STATEMENTS.update_user;
                let bind = |query| Self::bound_update(query, user, expected);
                if entry.is_none() {
                    return one(self.0.execute(update, bind).await?);
                }
                let mut transaction = self.0.begin().await?;
                let updated: Result<(), StoreError> = async {
                    one(transaction.execute(update, bind).await?)?;
                    Ok(Trail::<$engine>::note(&mut transaction, entry).await?)
                }
                .await;
                transaction.end(updated).await
            }

            async fn set_password(
                &self,
                id: UserId,
                old: &PasswordHash,
                new: &PasswordHash,
                keep: Option<SessionId>,
                entry: Option<&Entry>,
            ) -> Result<(), StoreError> {
                let statements = <$engine>::STATEMENTS;
                let mut transaction = self.0.begin().await?;
                let set: Result<(), StoreError> = async {
                    let update = transaction.execute(&statements.update_password, |query| {
                        query.bind(id.0).bind(old.as_str()).bind(new.as_str())
                    });
                    one(update.await?)?;
                    match keep {
                        Some(SessionId(keep)) => {
                            let end = &statements.end_other_sessions;
                            transaction.execute(end, |query| query.bind(id.0).bind(keep)).await?;
                        }
                        None => {
                            transaction.execute(&statements.end_sessions, |query| query.bind(id.0)).await?;
                        }
                    }
                    Ok(Trail::<$engine>::note(&mut transaction, entry).await?)
                }
                .await;
                transaction.end(set).await
            }

            async fn remove(
                &self,
                id: UserId,
                expected: Option<Version>,
                entry: Option<&Entry>,
            ) -> Result<(), StoreError> {
                let statements = <$engine>::STATEMENTS;
                let delete = expected.map_or(&statements.delete_user, |_| &statements.delete_user_version);
                let bind = |query| Self::bound_removal(query, id, expected);
                if entry.is_none() {
                    return one(self.0.execute(delete, bind).await?);
                }
                let mut transaction = self.0.begin().await?;
                let removed: Result<(), StoreError> = async {
                    one(transaction.execute(delete, bind).await?)?;
                    Ok(Trail::<$engine>::note(&mut transaction, entry).await?)
                }
                .await;
                transaction.end(removed).await
            }
        }
    )*};
}

user_store!(Sqlite, Postgres);
