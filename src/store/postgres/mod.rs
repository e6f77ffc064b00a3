//! PostgreSQL: one server for many instances.

mod statements;

use sqlx::{
    ConnectOptions, Executor, Postgres,
    postgres::{PgConnectOptions, PgConnection, PgQueryResult},
};

pub use self::statements::STATEMENTS;
use super::{
    Config,
    database::{Engine, Location, Statements},
};

impl Engine for Postgres {
    const SYSTEM: &'static str = "postgresql";
    const STATEMENTS: &'static Statements = STATEMENTS;

    fn rows_affected(result: &PgQueryResult) -> u64 {
        result.rows_affected()
    }

    async fn control(connection: &mut PgConnection, sql: &'static str) -> Result<(), sqlx::Error> {
        connection.execute(sql).await.map(drop)
    }
}

/// How a connection is opened that migrates: without a limit, since building an index may take long.
///
/// # Errors
/// What the URL must be.
pub(super) fn patient(config: &Config) -> Result<PgConnectOptions, &'static str> {
    let options = PgConnectOptions::from_url(&config.url).map_err(|_| {
        "like postgres://user:password@host:port/database, with parameters that libpq knows, such as sslmode=require"
    })?;
    Ok(options.application_name("glasshouse").disable_statement_logging())
}

/// How each connection of the pool is opened. The limits go with the first message: no further round trip.
///
/// # Errors
/// As [`patient`].
pub(super) fn options(config: &Config) -> Result<PgConnectOptions, &'static str> {
    let limit = config.statement_timeout.as_millis().to_string();
    // The server is never told of a client that is lost in silence: without the second limit it would keep the locks of
    // its transaction for hours.
    Ok(patient(config)?.options([("statement_timeout", &limit), ("idle_in_transaction_session_timeout", &limit)]))
}

/// Where the server is.
pub(super) fn location(options: &PgConnectOptions) -> Location {
    let namespace = options.get_database().unwrap_or_else(|| options.get_username()).to_owned();
    let host = options.get_socket().map_or_else(|| options.get_host().to_owned(), |path| path.display().to_string());
    Location { namespace, server: Some((host, options.get_port())) }
}
