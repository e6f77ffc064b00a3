//! Migrating PostgreSQL: an advisory lock keeps instances that start at once apart, and ends with the connection.

use sqlx::{
    ConnectOptions, Connection,
    migrate::{Migrate, Migrator},
    postgres::PgConnectOptions,
};

use super::{MigrateError, Migration};

static MIGRATOR: Migrator = sqlx::migrate!("migrations/postgres");

pub(in crate::store) async fn up(options: &PgConnectOptions) -> Result<(), MigrateError> {
    let mut connection = options.connect().await?;
    connection.lock().await?;
    super::up(&mut connection, &MIGRATOR).await?;
    Ok(connection.close().await?)
}

pub(in crate::store) async fn down(options: &PgConnectOptions) -> Result<(), MigrateError> {
    let mut connection = options.connect().await?;
    connection.lock().await?;
    super::down(&mut connection, &MIGRATOR).await?;
    Ok(connection.close().await?)
}

pub(in crate::store) async fn status(options: &PgConnectOptions) -> Result<Vec<Migration>, MigrateError> {
    let mut connection = options.connect().await?;
    connection.lock().await?;
    let migrations = super::status(&mut connection, &MIGRATOR).await?;
    connection.close().await?;
    Ok(migrations)
}
