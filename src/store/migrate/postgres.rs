//! Migrating PostgreSQL: an advisory lock keeps instances that start at once apart, and ends with the connection.

use sqlx::{
    ConnectOptions, Connection,
    migrate::{Migrate, Migrator},
    postgres::{PgConnectOptions, PgConnection, Postgres},
};

use super::{super::database::Engine, MigrateError, Migration};

static MIGRATOR: Migrator = sqlx::migrate!("migrations/postgres");

pub(in crate::store) async fn up(options: &PgConnectOptions) -> Result<(), MigrateError> {
    let mut connection = connect(options).await?;
    connection.lock().await?;
    super::up(&mut connection, &MIGRATOR).await?;
    Ok(connection.close().await?)
}

pub(in crate::store) async fn down(options: &PgConnectOptions) -> Result<(), MigrateError> {
    let mut connection = connect(options).await?;
    connection.lock().await?;
    super::down(&mut connection, &MIGRATOR).await?;
    Ok(connection.close().await?)
}

pub(in crate::store) async fn status(options: &PgConnectOptions) -> Result<Vec<Migration>, MigrateError> {
    let mut connection = connect(options).await?;
    connection.lock().await?;
    let migrations = super::status(&mut connection, &MIGRATOR).await?;
    connection.close().await?;
    Ok(migrations)
}

async fn connect(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    let mut connection = options.connect().await?;
    Postgres::opened(&mut connection).await?;
    Ok(connection)
}
