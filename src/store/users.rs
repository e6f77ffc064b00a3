//! Users in a database: one body, whatever the engine; the SQL is the engine's own.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::{Postgres, Sqlite};
use uuid::Uuid;

use super::{
    Failure,
    audit::Trail,
    database::{Database, Engine, Transaction, Writes},
    row::{CredentialsRow, IdRow, PasswordRow, ReceiptRow, UserRow, one},
};
use crate::domain::{
    audit::Entry,
    auth::{PasswordHash, SessionId},
    users::{Cursor, Email, Filter, Once, Receipt, Role, StoreError, User, UserId, UserStore, Version},
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

            fn bound_removal<'q>(
                query: Writes<'q, $engine>,
                user: &User,
                expected: Option<Version>,
            ) -> Writes<'q, $engine> {
                let query = query.bind(user.id.0).bind(user.role.as_str());
                if let Some(Version(expected)) = expected { query.bind(expected) } else { query }
            }

            /// Checks that another admin than `id` is left, and locks it until the transaction ends.
            async fn keep_an_admin(transaction: &mut Transaction<$engine>, id: UserId) -> Result<(), StoreError> {
                let admins: Vec<IdRow> =
                    transaction.fetch_all(&<$engine>::STATEMENTS.lock_admins, |query| query).await?;
                if admins.iter().any(|admin| admin.id != id.0) { Ok(()) } else { Err(StoreError::LastAdmin) }
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
                let id = match after {
                    Some(Cursor::Id(id)) => id.0,
                    _ => Uuid::nil(),
                };
                let limit = i64::from(limit);
                let rows: Vec<UserRow> = match (filter.role, &filter.email_prefix) {
                    (None, None) => {
                        self.0.fetch_all(&statements.list_users, |query| query.bind(id).bind(limit)).await?
                    }
                    (Some(role), None) => {
                        let list = &statements.list_users_by_role;
                        self.0.fetch_all(list, |query| query.bind(id).bind(limit).bind(role.as_str())).await?
                    }
                    (None, Some(prefix)) => {
                        let list = self.0.fetch_all(&statements.list_users_by_prefix, |query| {
                            query.bind(prefix.lowest(after.as_ref())).bind(limit).bind(prefix.above())
                        });
                        list.await?
                    }
                    (Some(role), Some(prefix)) => {
                        let list = self.0.fetch_all(&statements.list_users_by_role_and_prefix, |query| {
                            let query = query.bind(prefix.lowest(after.as_ref())).bind(limit).bind(prefix.above());
                            query.bind(role.as_str())
                        });
                        list.await?
                    }
                };
                rows.into_iter().map(User::try_from).collect()
            }

            async fn update(&self, before: &User, after: &User, entry: Option<&Entry>) -> Result<(), StoreError> {
                let update = &<$engine>::STATEMENTS.update_user;
                let bind = |query| Self::bound_update(query, after, before.version);
                let is_demotion = before.role == Role::Admin && after.role != Role::Admin;
                if entry.is_none() && !is_demotion {
                    return one(self.0.execute(update, bind).await?);
                }
                let mut transaction = self.0.begin().await?;
                let updated: Result<(), StoreError> = async {
                    if is_demotion {
                        Self::keep_an_admin(&mut transaction, before.id).await?;
                    }
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

            async fn replace_hash(&self, id: UserId, old: &PasswordHash, new: &PasswordHash) -> Result<(), StoreError> {
                let update = self.0.execute(&<$engine>::STATEMENTS.update_password, |query| {
                    query.bind(id.0).bind(old.as_str()).bind(new.as_str())
                });
                one(update.await?)
            }

            async fn remove(
                &self,
                user: &User,
                expected: Option<Version>,
                entry: Option<&Entry>,
            ) -> Result<(), StoreError> {
                let statements = <$engine>::STATEMENTS;
                let delete = expected.map_or(&statements.delete_user, |_| &statements.delete_user_version);
                let bind = |query| Self::bound_removal(query, user, expected);
                // An account that becomes an admin meanwhile has another role than expected.
                if entry.is_none() && user.role != Role::Admin {
                    return one(self.0.execute(delete, bind).await?);
                }
                let mut transaction = self.0.begin().await?;
                let removed: Result<(), StoreError> = async {
                    if user.role == Role::Admin {
                        Self::keep_an_admin(&mut transaction, user.id).await?;
                    }
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
