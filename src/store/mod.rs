//! Keeps users and sessions, in SQLite or in PostgreSQL: the scheme of the URL picks the engine.
//!
//! Nobody gets at a pool but through `database`, where each call is a span, a duration and an outcome.

mod audit;
mod config;
pub mod database;
mod failure;
mod guarded;
mod metrics;
mod migrate;
pub mod postgres;
mod row;
mod sessions;
pub mod sqlite;
mod users;

use std::{collections::BTreeSet, sync::Arc};

use futures_util::future::BoxFuture;
use sqlx::{Postgres, Sqlite, postgres::PgConnectOptions, sqlite::SqliteConnectOptions};

pub use config::Config;
pub use failure::Failure;
pub use guarded::Guarded;
pub use metrics::StoreMetrics;
pub use migrate::{MigrateError, Migration};

use self::{
    audit::Trail,
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
}

/// Where it is kept, and how the connection is opened that migrates.
#[derive(Clone)]
enum Kept {
    Sqlite(Database<Sqlite>, SqliteConnectOptions),
    /// Nobody migrates through a pooler.
    Postgres(Database<Postgres>, Option<PgConnectOptions>),
}

/// Why a store cannot be opened, whatever the database says.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No engine can work with the URL; [`Config::fault`] says so before.
    #[error("DATABASE_URL must be {0}")]
    Url(&'static str),
    /// The folder of the file cannot be made.
    #[error("the folder of the database cannot be made")]
    Folder(#[source] std::io::Error),
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
        match config.url.scheme() {
            "sqlite" => {
                let options = sqlite::options(config).map_err(OpenError::Url)?;
                sqlite::make_folder(config, &options)?;
                let patient = sqlite::patient(&options);
                let location = sqlite::location(&options);
                let database = database(config, options, location, (tracer, faults), metrics);
                let users = Arc::new(Users::<Sqlite>(database.clone()));
                let sessions = Arc::new(Sessions::<Sqlite>(database.clone()));
                let audit = Arc::new(Trail::<Sqlite>(database.clone()));
                Ok(Self { users, sessions, audit, kept: Kept::Sqlite(database, patient) })
            }
            "postgres" | "postgresql" => {
                let options = postgres::options(config).map_err(OpenError::Url)?;
                let patient =
                    (!config.pooler).then(|| postgres::patient(config)).transpose().map_err(OpenError::Url)?;
                let location = postgres::location(&options);
                let database = database(config, options, location, (tracer, faults), metrics);
                let users = Arc::new(Users::<Postgres>(database.clone()));
                let sessions = Arc::new(Sessions::<Postgres>(database.clone()));
                let audit = Arc::new(Trail::<Postgres>(database.clone()));
                Ok(Self { users, sessions, audit, kept: Kept::Postgres(database, patient) })
            }
            _ => Err(OpenError::Url(config::SCHEMES)),
        }
    }

    /// Whether the database answers; the text says why not, without password or address.
    #[must_use]
    pub fn ping(&self) -> BoxFuture<'static, Result<(), String>> {
        let answer = self.answer();
        Box::pin(async move { answer.await.map_err(|failure| failure.to_string()) })
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
            Kept::Sqlite(_, patient) => migrate::sqlite::up(patient).await,
            Kept::Postgres(_, patient) => migrate::postgres::up(direct(patient.as_ref())?).await,
        }
    }

    /// Takes the newest migration back, if there is one.
    ///
    /// # Errors
    /// As [`MigrateError`] says.
    pub async fn migrate_down(&self) -> Result<(), MigrateError> {
        match &self.kept {
            Kept::Sqlite(_, patient) => migrate::sqlite::down(patient).await,
            Kept::Postgres(_, patient) => migrate::postgres::down(direct(patient.as_ref())?).await,
        }
    }

    /// Every migration that this program knows, oldest first, and whether it was applied; then those that the database
    /// is ahead.
    ///
    /// # Errors
    /// As [`MigrateError`] says.
    pub async fn migrations(&self) -> Result<Vec<Migration>, MigrateError> {
        match &self.kept {
            Kept::Sqlite(_, patient) => migrate::sqlite::status(patient).await,
            Kept::Postgres(_, patient) => migrate::postgres::status(direct(patient.as_ref())?).await,
        }
    }
}

fn direct(patient: Option<&PgConnectOptions>) -> Result<&PgConnectOptions, MigrateError> {
    patient.ok_or(MigrateError::Pooled)
}

/// `db.query.summary` of each statement, migrations aside.
#[must_use]
pub fn statements() -> Vec<&'static str> {
    let summaries: BTreeSet<_> = sqlite::STATEMENTS.all().into_iter().map(|(_, statement)| statement.summary).collect();
    summaries.into_iter().collect()
}

fn database<DB: Engine>(
    config: &Config,
    options: <DB::Connection as sqlx::Connection>::Options,
    location: Location,
    through: (Tracer, Switchboard),
    metrics: &Metrics,
) -> Database<DB> {
    let store_metrics = StoreMetrics::new(metrics, DB::SYSTEM);
    store_metrics.appear::<DB>();
    let database = Database::new(config, options, location, through, store_metrics);
    metrics::watch(metrics, &database, config.max_connections);
    database
}
