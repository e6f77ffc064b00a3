//! Users in a database: one body, whatever the engine; the SQL is the engine's own.

use async_trait::async_trait;
use sqlx::{Postgres, Sqlite};
use uuid::Uuid;

use super::{
    database::{Database, Engine},
    row::{CredentialsRow, PasswordRow, UserRow, one},
};
use crate::domain::{
    auth::{PasswordHash, SessionId},
    users::{Cursor, Email, Filter, StoreError, User, UserId, UserStore, Version},
};

/// Users in one database.
pub(super) struct Users<DB: Engine>(pub(super) Database<DB>);

/// A macro and not a generic `impl`: the bounds that every bound value and row would need fill more lines than they save.
macro_rules! user_store {
    ($($engine:ty),*) => {$(
        #[async_trait]
        impl UserStore for Users<$engine> {
            async fn insert(&self, user: &User, password: &PasswordHash) -> Result<(), StoreError> {
                let insert = self.0.execute(&<$engine>::STATEMENTS.insert_user, |query| {
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
                });
                insert.await?;
                Ok(())
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

            async fn update(&self, user: &User, expected: Version) -> Result<(), StoreError> {
                let update = self.0.execute(&<$engine>::STATEMENTS.update_user, |query| {
                    query
                        .bind(user.id.0)
                        .bind(expected.0)
                        .bind(user.email.as_str())
                        .bind(user.email.key())
                        .bind(user.name.as_str())
                        .bind(user.role.as_str())
                        .bind(user.version.0)
                        .bind(user.updated_at)
                });
                one(update.await?)
            }

            async fn set_password(
                &self,
                id: UserId,
                old: &PasswordHash,
                new: &PasswordHash,
                keep: Option<SessionId>,
            ) -> Result<(), StoreError> {
                let statements = <$engine>::STATEMENTS;
                let mut transaction = self.0.begin().await?;
                let update = transaction.execute(&statements.update_password, |query| {
                    query.bind(id.0).bind(old.as_str()).bind(new.as_str())
                });
                if update.await? == 0 {
                    transaction.rollback().await?;
                    return Err(StoreError::Stale);
                }
                match keep {
                    Some(SessionId(keep)) => {
                        let end = &statements.end_other_sessions;
                        transaction.execute(end, |query| query.bind(id.0).bind(keep)).await?;
                    }
                    None => {
                        transaction.execute(&statements.end_sessions, |query| query.bind(id.0)).await?;
                    }
                }
                transaction.commit().await?;
                Ok(())
            }

            async fn remove(&self, id: UserId, expected: Option<Version>) -> Result<(), StoreError> {
                let statements = <$engine>::STATEMENTS;
                let removed = match expected {
                    Some(Version(expected)) => {
                        let delete = &statements.delete_user_version;
                        self.0.execute(delete, |query| query.bind(id.0).bind(expected)).await?
                    }
                    None => self.0.execute(&statements.delete_user, |query| query.bind(id.0)).await?,
                };
                one(removed)
            }
        }
    )*};
}

user_store!(Sqlite, Postgres);
