//! Migrating SQLite: one transaction that takes the write lock first, so that processes that start at once wait for
//! each other and all steps happen or none.

use std::time::{Duration, Instant};

use sqlx::{
    ConnectOptions, Connection,
    migrate::Migrator,
    sqlite::{SqliteConnectOptions, SqliteConnection},
};

use super::{Failure, MigrateError, Migration};

static MIGRATOR: Migrator = sqlx::migrate!("migrations/sqlite");

/// How long others may be busy with making the file.
const PATIENCE: Duration = Duration::from_secs(30);

pub(in crate::store) async fn up(options: &SqliteConnectOptions) -> Result<(), MigrateError> {
    let mut connection = connect(options).await.map_err(MigrateError::Database)?;
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    super::up(&mut *transaction, &MIGRATOR).await?;
    transaction.commit().await?;
    Ok(connection.close().await?)
}

pub(in crate::store) async fn down(options: &SqliteConnectOptions) -> Result<(), MigrateError> {
    let mut connection = connect(options).await.map_err(MigrateError::Database)?;
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    super::down(&mut *transaction, &MIGRATOR).await?;
    transaction.commit().await?;
    Ok(connection.close().await?)
}

pub(in crate::store) async fn status(options: &SqliteConnectOptions) -> Result<Vec<Migration>, MigrateError> {
    let mut connection = connect(options).await.map_err(MigrateError::Database)?;
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let migrations = super::status(&mut *transaction, &MIGRATOR).await?;
    transaction.commit().await?;
    connection.close().await?;
    Ok(migrations)
}

/// Several that turn a new file to write-ahead logging at once may be told that it is busy, without being made to
/// wait: SQLite sees a deadlock in it. So they try again.
async fn connect(options: &SqliteConnectOptions) -> Result<SqliteConnection, Failure> {
    let began = Instant::now();
    loop {
        match options.connect().await.map_err(Failure::from) {
            Err(failure) if failure.is_busy() && began.elapsed() < PATIENCE => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            connected => return connected,
        }
    }
}
