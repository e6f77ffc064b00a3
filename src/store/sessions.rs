//! Sessions in a database: one body, whatever the engine; the SQL is the engine's own.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::{Postgres, Sqlite};

use super::{
    Failure,
    database::{Database, Engine},
    row::{IdRow, RecognisedRow, RotatedSessionRow, SessionRow, one},
};
use crate::domain::{
    auth::{Exchange, NetworkDigest, PasswordHash, Rotation, Session, SessionId, SessionStore},
    users::{StoreError, User, UserId},
};

/// Sessions in one database.
pub(super) struct Sessions<DB: Engine>(pub(super) Database<DB>);

/// A macro for the same reason as that of users.
macro_rules! session_store {
    ($($engine:ty),*) => {$(
        #[async_trait]
        impl SessionStore for Sessions<$engine> {
            async fn start(&self, session: &Session, shown: &PasswordHash, limit: u32) -> Result<(), StoreError> {
                let statements = <$engine>::STATEMENTS;
                let mut transaction = self.0.begin().await?;
                let started: Result<(), StoreError> = async {
                    let insert = transaction.execute(&statements.insert_session, |query| {
                        query
                            .bind(session.id.0)
                            .bind(session.user.0)
                            .bind(session.family.0)
                            .bind(session.secret.0.as_slice())
                            .bind(session.created_at)
                            .bind(session.expires_at)
                            .bind(shown.as_str())
                    });
                    one(insert.await?)?;
                    let others = i64::from(limit.saturating_sub(1));
                    let end = transaction.execute(&statements.end_oldest_sessions, |query| {
                        query.bind(session.user.0).bind(session.id.0).bind(others)
                    });
                    end.await?;
                    Ok(())
                }
                .await;
                transaction.end(started).await
            }

            async fn recognise(
                &self,
                id: SessionId,
                now: DateTime<Utc>,
            ) -> Result<Option<(User, DateTime<Utc>)>, StoreError> {
                let recognise = &<$engine>::STATEMENTS.recognise_session;
                let row: Option<RecognisedRow> =
                    self.0.fetch_optional(recognise, |query| query.bind(id.0).bind(now)).await?;
                row.map(TryInto::try_into).transpose()
            }

            async fn rotate(&self, exchange: &Exchange, now: DateTime<Utc>) -> Result<Rotation, StoreError> {
                let statements = <$engine>::STATEMENTS;
                let Exchange { family, presented, next, salt, expires_at, repeat_since } = exchange;
                let rotate = self.0.fetch_optional(&statements.rotate_session, |query| {
                    let query = query.bind(family.0).bind(presented.0.as_slice()).bind(next.0.as_slice());
                    query.bind(now).bind(*expires_at).bind(salt.0.as_slice())
                });
                let rotated: Option<SessionRow> = rotate.await?;
                if let Some((session, user)) = rotated.as_ref().map(SessionRow::ids) {
                    return Ok(Rotation::Rotated(session, user));
                }
                // A secret that is not the current one never becomes it again, so no other rotation can change what the
                // following statements decide.
                if let Some(since) = repeat_since {
                    let get = self.0.fetch_optional(&statements.get_rotated_session, |query| {
                        query.bind(family.0).bind(presented.0.as_slice()).bind(now).bind(*since)
                    });
                    let row: Option<RotatedSessionRow> = get.await?;
                    if let Some(row) = row {
                        return row.try_into();
                    }
                }
                let end = &statements.end_reused_session;
                let ended: Option<SessionRow> =
                    self.0.fetch_optional(end, |query| query.bind(family.0).bind(now)).await?;
                let reused = ended.as_ref().map(SessionRow::ids);
                Ok(reused.map_or(Rotation::Unknown, |(session, user)| Rotation::Reused(session, user)))
            }

            async fn end(&self, id: SessionId) -> Result<(), StoreError> {
                self.0.execute(&<$engine>::STATEMENTS.end_session, |query| query.bind(id.0)).await?;
                Ok(())
            }

            async fn is_known_network(&self, network: &NetworkDigest) -> Result<bool, StoreError> {
                let get = &<$engine>::STATEMENTS.get_network;
                let row: Option<IdRow> = self.0.fetch_optional(get, |query| query.bind(network.0.as_slice())).await?;
                Ok(row.is_some())
            }

            async fn remember_network(
                &self,
                user: UserId,
                network: &NetworkDigest,
                now: DateTime<Utc>,
                limit: u32,
            ) -> Result<(), StoreError> {
                let statements = <$engine>::STATEMENTS;
                let mut transaction = self.0.begin().await?;
                let remembered: Result<(), Failure> = async {
                    let upsert = transaction.execute(&statements.upsert_network, |query| {
                        query.bind(network.0.as_slice()).bind(user.0).bind(now)
                    });
                    upsert.await?;
                    let delete = transaction.execute(&statements.delete_oldest_networks, |query| {
                        query.bind(user.0).bind(i64::from(limit))
                    });
                    delete.await.map(drop)
                }
                .await;
                Ok(transaction.end(remembered).await?)
            }

            async fn newest_expiry(&self) -> Result<Option<DateTime<Utc>>, StoreError> {
                let get = &<$engine>::STATEMENTS.get_newest_expiry;
                let newest: Option<(DateTime<Utc>,)> = self.0.fetch_optional(get, |query| query).await?;
                Ok(newest.map(|(expires_at,)| expires_at))
            }

            async fn sweep(&self, now: DateTime<Utc>, limit: u32) -> Result<u64, StoreError> {
                let sweep = &<$engine>::STATEMENTS.sweep_sessions;
                Ok(self.0.execute(sweep, |query| query.bind(now).bind(i64::from(limit))).await?)
            }
        }
    )*};
}

session_store!(Sqlite, Postgres);
