//! Migrations: up, one step down, and how far it is. Embedded, so that the program always fits its own schema.
//!
//! They run on a connection of their own, outside the pool and without its limits, and are told in the log instead of
//! in spans: one line each.

pub(super) mod postgres;
pub(super) mod sqlite;

use std::collections::BTreeMap;

use sqlx::migrate::{Migrate, Migrator};

use super::failure::Failure;

/// Where sqlx notes what was applied.
const TABLE: &str = "_sqlx_migrations";

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
        matches!(self, Self::Database(failure) | Self::Failed(_, failure) if failure.is_unavailable())
    }
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
async fn applied(connection: &mut impl Migrate, migrator: &Migrator) -> Result<BTreeMap<i64, Vec<u8>>, MigrateError> {
    connection.ensure_migrations_table(TABLE).await?;
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

async fn up(connection: &mut impl Migrate, migrator: &Migrator) -> Result<(), MigrateError> {
    let applied = applied(connection, migrator).await?;
    for migration in migrator.iter().filter(|it| it.migration_type.is_up_migration()) {
        if !applied.contains_key(&migration.version) {
            connection.apply(TABLE, migration).await?;
            told(migration, "a migration was applied");
        }
    }
    if let Some(version) = applied.into_keys().next_back().filter(|version| !knows(migrator, *version)) {
        tracing::warn!(
            target: "glasshouse::store",
            { migration.version = version },
            "the database is ahead of this program"
        );
    }
    Ok(())
}

async fn down(connection: &mut impl Migrate, migrator: &Migrator) -> Result<(), MigrateError> {
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

async fn status(connection: &mut impl Migrate, migrator: &Migrator) -> Result<Vec<Migration>, MigrateError> {
    let applied = applied(connection, migrator).await?;
    let known = migrator.iter().filter(|it| it.migration_type.is_up_migration());
    let known = known.map(|it| Migration {
        version: it.version,
        description: it.description.to_string(),
        applied: applied.contains_key(&it.version),
    });
    let ahead = applied.keys().filter(|version| !knows(migrator, **version)).map(|version| Migration {
        version: *version,
        description: "not known to this program".to_owned(),
        applied: true,
    });
    Ok(known.chain(ahead).collect())
}

fn knows(migrator: &Migrator, version: i64) -> bool {
    migrator.iter().any(|known| known.version == version)
}

fn told(migration: &sqlx::migrate::Migration, what: &'static str) {
    let sqlx::migrate::Migration { version, description, .. } = migration;
    tracing::info!(target: "glasshouse::store", { migration.version = version, migration.name = %description }, "{what}");
}
