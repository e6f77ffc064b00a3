//! Migrating SQLite: one transaction that takes the write lock first, so that processes that start at once wait for
//! each other and all steps happen or none.

use std::time::{Duration, Instant};

use sqlx::{Connection, Executor, Row, Sqlite, migrate::Migrator, sqlite::SqliteConnection};

use super::{Failure, LOCK_TIMEOUT, MigrateError, Migration, STEP_TIMEOUT, Target, limited};
use crate::store::{database::Engine, sqlite::Connector};

static MIGRATOR: Migrator = sqlx::migrate!("migrations/sqlite");

/// How long others may be busy with making the file.
const CREATE_TIMEOUT: Duration = Duration::from_secs(30);

/// Versions of the migrations that this program knows.
pub(in crate::store) fn known() -> Vec<i64> {
    super::known(&MIGRATOR)
}

/// Applies what is missing. Where nothing is missing, nothing is locked or written.
pub(in crate::store) async fn up(connector: &Connector) -> Result<(), MigrateError> {
    connector.create_folder().map_err(MigrateError::Folder)?;
    let mut connection = connect(connector).await?;
    if super::look(&mut connection, &MIGRATOR).await? {
        return Ok(connection.close().await?);
    }
    let mut transaction = begin(&mut connection).await?;
    super::up(&mut *transaction, &MIGRATOR).await?;
    transaction.commit().await?;
    Ok(connection.close().await?)
}

pub(in crate::store) async fn down(connector: &Connector) -> Result<(), MigrateError> {
    let mut connection = connect(connector).await?;
    let mut transaction = begin(&mut connection).await?;
    super::down(&mut *transaction, &MIGRATOR).await?;
    transaction.commit().await?;
    Ok(connection.close().await?)
}

/// The file is opened read-only, and not created.
pub(in crate::store) async fn status(connector: &Connector) -> Result<Vec<Migration>, MigrateError> {
    let connected = async { Ok(connector.connect_to_read().await?) };
    let Some(mut connection) = limited("the database file", STEP_TIMEOUT, connected).await? else {
        return Ok(super::pending(&MIGRATOR));
    };
    let migrations = super::status(&mut connection, &MIGRATOR).await?;
    connection.close().await?;
    Ok(migrations)
}

async fn begin(connection: &mut SqliteConnection) -> Result<sqlx::Transaction<'_, Sqlite>, MigrateError> {
    let begun = async { Ok(connection.begin_with("BEGIN IMMEDIATE").await?) };
    limited("the lock of another process that migrates", LOCK_TIMEOUT, begun).await
}

/// Several that turn a new file to write-ahead logging at once may be told that it is busy, without being made to
/// wait: SQLite sees a deadlock in it. So they try again.
async fn connect(connector: &Connector) -> Result<SqliteConnection, MigrateError> {
    let connector = connector.for_migrations();
    let began = Instant::now();
    let connected = async {
        loop {
            match Sqlite::connect(&connector).await.map_err(Failure::from) {
                Err(failure) if failure.is_busy() && began.elapsed() < CREATE_TIMEOUT => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                connected => return connected.map_err(MigrateError::Database),
            }
        }
    };
    limited("the database file", CREATE_TIMEOUT, connected).await
}

impl Target for SqliteConnection {
    async fn has_table(&mut self) -> Result<bool, Failure> {
        let row = self.fetch_one("SELECT count(*) FROM sqlite_schema WHERE name = '_sqlx_migrations'").await?;
        Ok(row.try_get::<i64, _>(0)? > 0)
    }
}
