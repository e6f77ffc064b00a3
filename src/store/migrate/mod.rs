//! Migrations: up, one step down, and how far it is. Embedded, so that the program always fits its own schema.
//!
//! They run on a connection of their own, outside the pool and without its limits, and are told in the log instead of
//! in spans: one line each.

pub(super) mod postgres;
pub(super) mod sqlite;

use std::{collections::BTreeMap, future::Future, time::Duration};

use sqlx::migrate::{Migrate, Migrator};
use tokio::time::{Instant, sleep, timeout};

use super::failure::Failure;

/// Where sqlx notes what was applied.
const TABLE: &str = "_sqlx_migrations";

/// Limit of one question to the database that is no migration.
const STEP_TIMEOUT: Duration = Duration::from_secs(10);

/// Limit of one wait for the lock of another instance; the caller logs it and waits again.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// Limit of one migration, such as the building of an index: by then its connection is taken for lost.
const MIGRATION_TIMEOUT: Duration = Duration::from_hours(2);

/// How often a migration that is running is logged.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(30);

/// One step of the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// The number that its files begin with.
    pub version: i64,
    /// The words in its files' names.
    pub description: String,
    /// Whether the database has it.
    pub applied: bool,
}

/// Why a migration did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The database is away, or refuses something that is no migration.
    #[error("the database cannot be migrated")]
    Database(#[source] Failure),
    /// Something did not happen within its limit.
    #[error("no answer within {1:?} while waiting for {0}")]
    NoAnswer(&'static str, Duration),
    /// The folder of the file cannot be created.
    #[error("the folder of the database cannot be created")]
    Folder(#[source] std::io::Error),
    /// The database cannot store every character.
    #[error("the encoding of the database is {0} and must be UTF8: create the database with ENCODING 'UTF8'")]
    Encoding(String),
    /// The role may not read or change the schema.
    #[error("{0}")]
    Denied(String, #[source] Failure),
    /// Migrating wants a connection that is the server's own: it holds a lock for longer than a transaction.
    #[error("behind a pooler nothing is migrated: use the server's own URL, with store.pooler=false")]
    Pooled,
    /// That migration was refused.
    #[error("migration {0} failed")]
    Failed(i64, #[source] Failure),
    /// That migration was applied and is not known here: it cannot be taken back, or is older than one that is known.
    #[error("the database has migration {0}, which this program does not know")]
    Unknown(i64),
    /// That migration was changed after it was applied.
    #[error("migration {0} is not what was applied")]
    Changed(i64),
    /// That migration was left half done.
    #[error("migration {0} is half done and must be mended by hand")]
    Dirty(i64),
}

impl MigrateError {
    /// Whether the database is away, so that later may be better.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Database(failure) | Self::Failed(_, failure) => failure.is_unavailable(),
            Self::NoAnswer(..) => true,
            _ => false,
        }
    }

    /// Adds what to grant, if the role lacks a privilege.
    fn with_remedy(self, role: &str, schema: &str) -> Self {
        match self {
            Self::Database(failure) | Self::Failed(_, failure) if failure.is_permission_denied() => {
                let remedy = format!(
                    "the role may not migrate: GRANT SELECT ON {TABLE} TO {role} if the owner migrates with `glasshouse \
                     migrate up`; GRANT CREATE ON SCHEMA {schema} TO {role}, and ownership of the tables, if {role} does"
                );
                Self::Denied(remedy, failure)
            }
            error => error,
        }
    }
}

/// A connection on which migrations are looked up.
trait Target: Migrate {
    /// Whether the table of applied migrations exists.
    fn has_table(&mut self) -> impl Future<Output = Result<bool, Failure>> + Send;
}

/// Does the work within its limit.
async fn limited<T>(
    what: &'static str,
    limit: Duration,
    work: impl Future<Output = Result<T, MigrateError>>,
) -> Result<T, MigrateError> {
    timeout(limit, work).await.unwrap_or(Err(MigrateError::NoAnswer(what, limit)))
}

impl From<sqlx::Error> for MigrateError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

impl From<sqlx::migrate::MigrateError> for MigrateError {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        match error {
            sqlx::migrate::MigrateError::Execute(error) => Self::Database(error.into()),
            sqlx::migrate::MigrateError::ExecuteMigration(error, version) => Self::Failed(version, error.into()),
            other => Self::Database(sqlx::Error::from(other).into()),
        }
    }
}

/// What was applied, by version, after it was compared with what is known here.
///
/// What is newer than all that is known is no fault: while a release rolls out, or is taken back, the program before
/// runs on the schema of the one after.
///
/// Writes nothing: without the table, nothing was applied.
async fn applied(connection: &mut impl Target, migrator: &Migrator) -> Result<BTreeMap<i64, Vec<u8>>, MigrateError> {
    limited("the list of applied migrations", STEP_TIMEOUT, list_applied(connection, migrator)).await
}

async fn list_applied(
    connection: &mut impl Target,
    migrator: &Migrator,
) -> Result<BTreeMap<i64, Vec<u8>>, MigrateError> {
    if !connection.has_table().await.map_err(MigrateError::Database)? {
        return Ok(BTreeMap::new());
    }
    if let Some(version) = connection.dirty_version(TABLE).await? {
        return Err(MigrateError::Dirty(version));
    }
    let applied = connection.list_applied_migrations(TABLE).await?;
    let applied: BTreeMap<_, _> = applied.into_iter().map(|it| (it.version, it.checksum.to_vec())).collect();
    let newest = migrator.iter().map(|known| known.version).max();
    for (version, checksum) in applied.iter().filter(|(version, _)| Some(**version) <= newest) {
        let mut known = migrator.iter().filter(|known| known.version == *version).peekable();
        if known.peek().is_none() {
            return Err(MigrateError::Unknown(*version));
        }
        if !known.any(|known| known.migration_type.is_up_migration() && *known.checksum == **checksum) {
            return Err(MigrateError::Changed(*version));
        }
    }
    Ok(applied)
}

/// Whether nothing is missing.
async fn look(connection: &mut impl Target, migrator: &Migrator) -> Result<bool, MigrateError> {
    let applied = applied(connection, migrator).await?;
    let is_complete = known(migrator).iter().all(|version| applied.contains_key(version));
    if is_complete {
        warn_if_ahead(&applied, migrator);
    }
    Ok(is_complete)
}

async fn up(connection: &mut impl Target, migrator: &Migrator) -> Result<(), MigrateError> {
    let table = async { Ok(connection.ensure_migrations_table(TABLE).await?) };
    limited("the table of applied migrations", STEP_TIMEOUT, table).await?;
    let applied = applied(connection, migrator).await?;
    for migration in migrator.iter().filter(|it| it.migration_type.is_up_migration()) {
        if !applied.contains_key(&migration.version) {
            with_progress(migration, async { Ok(connection.apply(TABLE, migration).await?) }).await?;
            told(migration, "a migration was applied");
        }
    }
    warn_if_ahead(&applied, migrator);
    Ok(())
}

/// Logs at intervals that the migration is running, and gives up after [`MIGRATION_TIMEOUT`].
async fn with_progress<T>(
    migration: &sqlx::migrate::Migration,
    work: impl Future<Output = Result<T, MigrateError>>,
) -> Result<T, MigrateError> {
    let report = async {
        let began = Instant::now();
        loop {
            sleep(PROGRESS_INTERVAL).await;
            tracing::warn!(
                target: "glasshouse::store",
                { migration.version = migration.version, duration_seconds = began.elapsed().as_secs_f64() },
                "migration still running"
            );
        }
    };
    tokio::select! {
        done = limited("the end of a migration", MIGRATION_TIMEOUT, work) => done,
        () = report => unreachable!("reports never end"),
    }
}

fn warn_if_ahead(applied: &BTreeMap<i64, Vec<u8>>, migrator: &Migrator) {
    if let Some(version) = applied.keys().next_back().filter(|version| !knows(migrator, **version)) {
        tracing::warn!(
            target: "glasshouse::store",
            { migration.version = *version },
            "the database is ahead of this program"
        );
    }
}

async fn down(connection: &mut impl Target, migrator: &Migrator) -> Result<(), MigrateError> {
    let Some((newest, _)) = applied(connection, migrator).await?.pop_last() else { return Ok(()) };
    if !knows(migrator, newest) {
        return Err(MigrateError::Unknown(newest));
    }
    for migration in migrator.iter().filter(|it| it.migration_type.is_down_migration() && it.version == newest) {
        connection.revert(TABLE, migration).await?;
        told(migration, "a migration was taken back");
    }
    Ok(())
}

async fn status(connection: &mut impl Target, migrator: &Migrator) -> Result<Vec<Migration>, MigrateError> {
    let applied = applied(connection, migrator).await?;
    let known = pending(migrator).into_iter().map(|it| {
        let applied = applied.contains_key(&it.version);
        Migration { applied, ..it }
    });
    let ahead = applied.keys().filter(|version| !knows(migrator, **version)).map(|version| Migration {
        version: *version,
        description: "not known to this program".to_owned(),
        applied: true,
    });
    Ok(known.chain(ahead).collect())
}

/// Every known migration, as a database without a schema has it.
fn pending(migrator: &Migrator) -> Vec<Migration> {
    let known = migrator.iter().filter(|it| it.migration_type.is_up_migration());
    let pending =
        known.map(|it| Migration { version: it.version, description: it.description.to_string(), applied: false });
    pending.collect()
}

fn known(migrator: &Migrator) -> Vec<i64> {
    migrator.iter().filter(|it| it.migration_type.is_up_migration()).map(|it| it.version).collect()
}

fn knows(migrator: &Migrator, version: i64) -> bool {
    migrator.iter().any(|known| known.version == version)
}

fn told(migration: &sqlx::migrate::Migration, what: &'static str) {
    let sqlx::migrate::Migration { version, description, .. } = migration;
    tracing::info!(target: "glasshouse::store", { migration.version = version, migration.name = %description }, "{what}");
}
