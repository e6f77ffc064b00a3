//! Migrating PostgreSQL: an advisory lock keeps instances that start at once apart, and ends with the connection.

use std::time::Duration;

use sqlx::{
    AssertSqlSafe, Connection, Executor, Row,
    migrate::{Migrate, Migrator},
    postgres::PgConnection,
};
use tokio::time::sleep;

use super::{Failure, LOCK_TIMEOUT, MigrateError, Migration, STEP_TIMEOUT, Target, limited};
use crate::store::postgres::Connector;

static MIGRATOR: Migrator = sqlx::migrate!("migrations/postgres");

/// Pause between two attempts to take the lock.
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// Versions of the migrations that this program knows.
pub(in crate::store) fn known() -> Vec<i64> {
    super::known(&MIGRATOR)
}

/// Applies what is missing. Where nothing is missing, nothing is locked or written, so a role without CREATE will do.
pub(in crate::store) async fn up(connector: &Connector) -> Result<(), MigrateError> {
    migrate(connector, async |connection| {
        if super::look(connection, &MIGRATOR).await? {
            return Ok(());
        }
        lock(connection).await?;
        drop_unfinished_indexes(connection).await?;
        super::up(connection, &MIGRATOR).await
    })
    .await
}

pub(in crate::store) async fn down(connector: &Connector) -> Result<(), MigrateError> {
    migrate(connector, async |connection| {
        lock(connection).await?;
        super::down(connection, &MIGRATOR).await
    })
    .await
}

pub(in crate::store) async fn status(connector: &Connector) -> Result<Vec<Migration>, MigrateError> {
    migrate(connector, async |connection| super::status(connection, &MIGRATOR).await).await
}

/// Does the work on a connection of its own, and says what to grant where the role may not do it.
async fn migrate<T>(
    connector: &Connector,
    work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, MigrateError>,
) -> Result<T, MigrateError> {
    let mut connection = limited("a connection", connector.timeout, async { Ok(connector.connect().await?) }).await?;
    let (grantee, schema) = limited("the encoding and the schema", STEP_TIMEOUT, inspect(&mut connection)).await?;
    let done = work(&mut connection).await.map_err(|error| error.with_remedy(&grantee, &schema))?;
    limited("the end of the connection", STEP_TIMEOUT, async { Ok(connection.close().await?) }).await?;
    Ok(done)
}

/// Returns the role and the schema, quoted, after it has made sure of the encoding: nothing is created in a database
/// that the service cannot use.
async fn inspect(connection: &mut PgConnection) -> Result<(String, String), MigrateError> {
    const INSPECT: &str = "SELECT current_setting('server_encoding'), quote_ident(current_user), \
                           coalesce(quote_ident(current_schema()), 'the schema')";
    let row = connection.fetch_one(INSPECT).await?;
    let (encoding, role, schema): (String, String, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    if encoding == "UTF8" { Ok((role, schema)) } else { Err(MigrateError::Encoding(encoding)) }
}

/// Waits for the lock in short attempts: a session that waits in one long statement holds a snapshot, for whose end
/// `CREATE INDEX CONCURRENTLY` of the instance with the lock would wait, which is a deadlock.
async fn lock(connection: &mut PgConnection) -> Result<(), MigrateError> {
    let locked = async {
        connection.execute("SET lock_timeout = '200ms'").await?;
        loop {
            match connection.lock().await.map_err(MigrateError::from) {
                Err(MigrateError::Database(failure)) if failure.is_statement_timeout() => sleep(LOCK_PAUSE).await,
                locked => break locked?,
            }
        }
        connection.execute("RESET lock_timeout").await?;
        Ok(())
    };
    limited("the lock of another instance that migrates", LOCK_TIMEOUT, locked).await
}

/// Drops the indexes that an interrupted `CREATE INDEX CONCURRENTLY` of a pending migration has left. They are invalid
/// and have the name that the migration needs, so the migration would fail each time.
async fn drop_unfinished_indexes(connection: &mut PgConnection) -> Result<(), MigrateError> {
    const INVALID: &str = "SELECT relname::text FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid \
                           WHERE NOT indisvalid AND relnamespace = to_regnamespace(quote_ident(current_schema()))";
    let listed = async { Ok(connection.fetch_all(INVALID).await?) };
    let invalid = limited("the list of invalid indexes", STEP_TIMEOUT, listed).await?;
    if invalid.is_empty() {
        return Ok(());
    }
    let applied = super::applied(connection, &MIGRATOR).await?;
    for row in invalid {
        let name: String = row.try_get(0)?;
        let is_named = |sql: &str| sql.split(|it: char| !it.is_alphanumeric() && it != '_').any(|word| word == name);
        let pending =
            MIGRATOR.iter().filter(|it| it.migration_type.is_up_migration() && !applied.contains_key(&it.version));
        let Some(migration) = pending.into_iter().find(|it| it.no_tx && is_named(it.sql.as_str())) else { continue };
        let drop = AssertSqlSafe(format!("DROP INDEX CONCURRENTLY \"{name}\""));
        super::with_progress(migration, async { Ok(connection.execute(drop).await.map(|_| ())?) }).await?;
        super::told(migration, "the unfinished index of an interrupted migration was dropped");
    }
    Ok(())
}

impl Target for PgConnection {
    async fn has_table(&mut self) -> Result<bool, Failure> {
        let row = self.fetch_one("SELECT to_regclass('_sqlx_migrations') IS NOT NULL").await?;
        Ok(row.try_get(0)?)
    }
}
