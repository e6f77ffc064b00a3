//! PostgreSQL: one server for many instances.

mod statements;

use std::{borrow::Cow, time::Duration};

use sqlx::{
    AssertSqlSafe, ConnectOptions, Executor, Postgres, Row, SqlSafeStr, SqlStr,
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

    /// A pooler between us and the server may swallow what a connection begins with, and hands the server's connections
    /// round. What one of its clients prepares there under a name, another one may run instead of its own statement: so
    /// one that nobody has told us of must not be used at all.
    async fn opened(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let told: String = connection.fetch_one(ASK_CLIENT_CHECK).await?.try_get(0)?;
        if told == CLIENT_CHECK { Ok(()) } else { Err(sqlx::Error::Configuration(Box::new(Swallowed))) }
    }

    fn pooled_begin(ceiling: Duration) -> SqlStr {
        let limit = ceiling.as_millis();
        let begin = format!(
            "BEGIN; SET LOCAL statement_timeout = {limit}; SET LOCAL idle_in_transaction_session_timeout = {limit}; \
             SET LOCAL client_connection_check_interval = '{CLIENT_CHECK}'"
        );
        AssertSqlSafe(begin).into_sql_str()
    }

    async fn control(connection: &mut PgConnection, sql: SqlStr) -> Result<(), sqlx::Error> {
        connection.execute(sql).await.map(drop)
    }
}

/// How often the server looks, while it works, whether its client is still there: without that, a statement that nobody
/// waits for runs to its end.
const CLIENT_CHECK: &str = "1s";
const ASK_CLIENT_CHECK: &str = "SHOW client_connection_check_interval";

/// Somebody between us and the server keeps from it what we ask for.
#[derive(Debug, thiserror::Error)]
#[error("the server was not told our settings: where a pooler is in front of it, store.pooler must be true")]
struct Swallowed;

/// What the URL must be.
const URL: &str = "like postgres://user:password@host:port/database, with a host and with parameters that libpq knows, such \
                   as sslmode=require";

/// How a connection is opened that is the server's own: to migrate, without a limit, since building an index may take
/// long.
///
/// # Errors
/// What the URL must be. One without a host is refused: it would mean whatever PGHOST says.
pub(super) fn patient(config: &Config) -> Result<PgConnectOptions, &'static str> {
    Ok(common(config)?.options([("statement_timeout", "0"), ("client_connection_check_interval", CLIENT_CHECK)]))
}

/// How each connection of the pool is opened. The limits go with the first message: no further round trip. A pooler would
/// refuse them there, so behind one each transaction begins with them.
///
/// # Errors
/// As [`patient`].
pub(super) fn options(config: &Config) -> Result<PgConnectOptions, &'static str> {
    let options = common(config)?;
    if config.pooler {
        return Ok(options.extra_float_digits(None));
    }
    let limit = config.statement_timeout.as_millis().to_string();
    Ok(options.options([
        ("statement_timeout", limit.as_str()),
        // The server is never told of a client that is lost in silence, and would keep the locks of its transaction.
        ("idle_in_transaction_session_timeout", limit.as_str()),
        ("client_connection_check_interval", CLIENT_CHECK),
    ]))
}

fn common(config: &Config) -> Result<PgConnectOptions, &'static str> {
    let is_host = |(name, _): (Cow<'_, str>, _)| name == "host" || name == "hostaddr";
    if config.url.host_str().is_none_or(str::is_empty) && !config.url.query_pairs().any(is_host) {
        return Err(URL);
    }
    let options = PgConnectOptions::from_url(&config.url).map_err(|_| URL)?;
    Ok(options.application_name("glasshouse").disable_statement_logging())
}

/// Where the server is.
pub(super) fn location(options: &PgConnectOptions) -> Location {
    let namespace = options.get_database().unwrap_or_else(|| options.get_username()).to_owned();
    let host = options.get_socket().map_or_else(|| options.get_host().to_owned(), |path| path.display().to_string());
    Location { namespace, server: Some((host, options.get_port())) }
}
