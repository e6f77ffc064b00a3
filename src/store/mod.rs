//! Keeps users and sessions, in SQLite or in PostgreSQL: the scheme of the URL picks the engine.
//!
//! Nobody gets at a pool but through `database`, where each call is a span, a duration and an outcome.

mod audit;
mod check;
mod config;
pub mod database;
mod database_url;
mod error_class;
mod failure;
mod guarded;
mod metrics;
mod migrate;
pub mod postgres;
mod row;
mod sessions;
pub mod sqlite;
mod users;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use sqlx::{Postgres, Sqlite};

pub use config::Config;
pub use database_url::{Parameter, UrlError};
pub use failure::Failure;
pub use guarded::Guarded;
pub use metrics::StoreMetrics;
pub use migrate::{MigrateError, Migration};

use self::{
    audit::Trail,
    check::Unfit,
    database::{Database, Engine, Location},
    sessions::Sessions,
    users::Users,
};
use crate::{
    domain::{audit::AuditStore, auth::SessionStore, users::UserStore},
    faults::Switchboard,
    telemetry::{Metrics, Tracer},
};

/// A store that is open. Cheap to clone; clones share the pool.
#[derive(Clone)]
pub struct Store {
    /// Keeps users.
    pub users: Arc<dyn UserStore>,
    /// Keeps sessions.
    pub sessions: Arc<dyn SessionStore>,
    /// Keeps what admins did to whom.
    pub audit: Arc<dyn AuditStore>,
    kept: Kept,
    /// Limit of a readiness check.
    check_timeout: Duration,
}

/// Where it is kept, and how the connection is opened that migrates.
#[derive(Clone)]
enum Kept {
    Sqlite(Database<Sqlite>, sqlite::Connector),
    /// Without a connector for migrations behind a pooler.
    Postgres(Database<Postgres>, Option<postgres::Connector>),
}

/// Why a store cannot be opened, whatever the database says.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No engine can work with the URL; [`Config::fault`] says so before.
    #[error("DATABASE_URL must be {0}")]
    Url(UrlError),
}

impl Store {
    /// Opens the store that the URL means. Connects to nothing: a service whose database is not there yet is alive
    /// and not ready, and becomes ready when it comes.
    ///
    /// # Errors
    /// Only what no waiting can mend, as [`OpenError`] says.
    ///
    /// # Panics
    /// Outside a runtime, and if `metrics` has a store's families already.
    #[expect(clippy::unused_async, reason = "the pool starts a task of its own, so this is for runtimes only")]
    pub async fn open(
        config: &Config,
        tracer: Tracer,
        faults: Switchboard,
        metrics: &Metrics,
    ) -> Result<Self, OpenError> {
        let check_timeout = config.ping_timeout;
        match config.url.scheme() {
            "sqlite" => {
                let connector = sqlite::connector(config).map_err(OpenError::Url)?;
                let kept = connector.clone();
                let location = sqlite::location(&connector);
                let database = database(config, connector, location, (tracer, faults), metrics);
                let users = Arc::new(Users::<Sqlite>(database.clone()));
                let sessions = Arc::new(Sessions::<Sqlite>(database.clone()));
                let audit = Arc::new(Trail::<Sqlite>(database.clone()));
                Ok(Self { users, sessions, audit, kept: Kept::Sqlite(database, kept), check_timeout })
            }
            "postgres" | "postgresql" => {
                let connector = postgres::connector(config).map_err(OpenError::Url)?;
                let migrating = (!config.pooler).then(|| postgres::migration_connector(config)).transpose();
                let migrating = migrating.map_err(OpenError::Url)?;
                let location = postgres::location(&connector);
                let database = database(config, connector, location, (tracer, faults), metrics);
                let users = Arc::new(Users::<Postgres>(database.clone()));
                let sessions = Arc::new(Sessions::<Postgres>(database.clone()));
                let audit = Arc::new(Trail::<Postgres>(database.clone()));
                Ok(Self { users, sessions, audit, kept: Kept::Postgres(database, migrating), check_timeout })
            }
            _ => Err(OpenError::Url(UrlError::Form(config::SCHEMES))),
        }
    }

    /// Whether the database answers; the text says why not, without password or address.
    #[must_use]
    pub fn ping(&self) -> BoxFuture<'static, Result<(), String>> {
        let answer = self.answer();
        Box::pin(async move { answer.await.map_err(|failure| failure.to_string()) })
    }

    /// Whether the database has all that requests need; the text says what is missing, without password or address.
    #[must_use]
    pub fn check(&self) -> BoxFuture<'static, Result<(), String>> {
        let checked = self.checked();
        Box::pin(async move { checked.await.map_err(|unfit| unfit.to_string()) })
    }

    fn checked(&self) -> BoxFuture<'static, Result<(), Unfit>> {
        let (kept, limit) = (self.kept.clone(), self.check_timeout);
        Box::pin(async move {
            match kept {
                Kept::Sqlite(database, connector) => {
                    connector.verify_file().await?;
                    check::check(&database, &migrate::sqlite::known(), limit).await?;
                    sqlite::check(&connector).await.map_err(Unfit::of_file)
                }
                Kept::Postgres(database, _) => check::check(&database, &migrate::postgres::known(), limit).await,
            }
        })
    }

    fn answer(&self) -> BoxFuture<'static, Result<(), Failure>> {
        let kept = self.kept.clone();
        Box::pin(async move {
            match kept {
                Kept::Sqlite(database, _) => database.ping().await,
                Kept::Postgres(database, _) => database.ping().await,
            }
        })
    }

    /// `db.system.name` of the database.
    #[must_use]
    pub const fn system(&self) -> &'static str {
        match &self.kept {
            Kept::Sqlite(..) => <Sqlite as Engine>::SYSTEM,
            Kept::Postgres(..) => <Postgres as Engine>::SYSTEM,
        }
    }

    /// Waits until every connection is given back, and closes them. Calls that come later fail.
    pub async fn close(&self) {
        match &self.kept {
            Kept::Sqlite(database, _) => database.close().await,
            Kept::Postgres(database, _) => database.close().await,
        }
    }

    /// Applies every migration that was not, oldest first. Others that try at the same time wait, and find nothing
    /// to do.
    ///
    /// # Errors
    /// As [`MigrateError`] says; migrations before the failing one are kept on PostgreSQL, none on SQLite.
    pub async fn migrate_up(&self) -> Result<(), MigrateError> {
        match &self.kept {
            Kept::Sqlite(_, connector) => migrate::sqlite::up(connector).await,
            Kept::Postgres(_, connector) => migrate::postgres::up(direct(connector.as_ref())?).await,
        }
    }

    /// Takes the newest migration back, if there is one.
    ///
    /// # Errors
    /// As [`MigrateError`] says.
    pub async fn migrate_down(&self) -> Result<(), MigrateError> {
        match &self.kept {
            Kept::Sqlite(_, connector) => migrate::sqlite::down(connector).await,
            Kept::Postgres(_, connector) => migrate::postgres::down(direct(connector.as_ref())?).await,
        }
    }

    /// Every migration that this program knows, oldest first, and whether it was applied; then those that the database
    /// is ahead. Writes nothing.
    ///
    /// # Errors
    /// As [`MigrateError`] says.
    pub async fn migrations(&self) -> Result<Vec<Migration>, MigrateError> {
        match &self.kept {
            Kept::Sqlite(_, connector) => migrate::sqlite::status(connector).await,
            Kept::Postgres(_, connector) => migrate::postgres::status(direct(connector.as_ref())?).await,
        }
    }
}

fn direct(connector: Option<&postgres::Connector>) -> Result<&postgres::Connector, MigrateError> {
    connector.ok_or(MigrateError::Pooled)
}

/// `db.query.summary` of each statement, migrations aside.
#[must_use]
pub fn statements() -> Vec<&'static str> {
    let summaries: BTreeSet<_> = sqlite::STATEMENTS.all().into_iter().map(|(_, statement)| statement.summary).collect();
    summaries.into_iter().collect()
}

fn database<DB: Engine>(
    config: &Config,
    connector: DB::Connector,
    location: Location,
    through: (Tracer, Switchboard),
    metrics: &Metrics,
) -> Database<DB> {
    let store_metrics = StoreMetrics::new(metrics, DB::SYSTEM);
    let database = Database::new(config, connector, location, through, store_metrics);
    metrics::watch(metrics, &database, config.max_connections);
    database
}
