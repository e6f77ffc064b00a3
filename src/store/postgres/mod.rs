//! PostgreSQL: one server for many instances.

mod connector;
mod statements;

use std::{future::Future, net::IpAddr, time::Duration};

use sqlx::{
    AssertSqlSafe, ConnectOptions, Executor, Postgres, SqlSafeStr, SqlStr,
    postgres::{PgConnectOptions, PgConnection, PgQueryResult, PgSslMode},
};
use tracing::{Dispatch, dispatcher::with_default};

pub use self::{connector::Connector, statements::STATEMENTS};
use super::{
    Config,
    database::{Engine, Location, Statements},
    database_url::{self, UrlError},
};

impl Engine for Postgres {
    type Connector = Connector;

    const SYSTEM: &'static str = "postgresql";
    const STATEMENTS: &'static Statements = STATEMENTS;

    fn rows_affected(result: &PgQueryResult) -> u64 {
        result.rows_affected()
    }

    fn connect(connector: &Connector) -> impl Future<Output = Result<PgConnection, sqlx::Error>> + Send {
        connector.connect()
    }

    fn pooled_begin(ceiling: Duration) -> SqlStr {
        let limit = ceiling.as_millis();
        let begin = format!(
            "BEGIN ISOLATION LEVEL {ISOLATION}; SET LOCAL statement_timeout = {limit}; SET LOCAL idle_in_transaction_session_timeout = {limit}; \
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

/// The isolation that the statements are written for, whatever the database or the role has as its default.
const ISOLATION: &str = "read committed";

/// What the URL must be.
const URL: &str = "like postgres://user:password@host:port/database, with a host, and with user, password and database in \
                   percent-encoded UTF-8";

/// How a connection is opened that is the server's own: to migrate, without a limit, since building an index may take
/// long.
///
/// # Errors
/// What the URL must be. One without a host is refused: it would mean whatever PGHOST says.
pub(super) fn migration_connector(config: &Config) -> Result<Connector, UrlError> {
    let settings = [("statement_timeout", "0"), ("client_connection_check_interval", CLIENT_CHECK)];
    Ok(Connector { options: common(config)?.options(settings), is_pooled: false, timeout: config.acquire_timeout })
}

/// How each connection of the pool is opened. The limits go with the first message: no further round trip. A pooler would
/// refuse them there, so behind one each transaction begins with them.
///
/// # Errors
/// As [`migration_connector`].
pub(super) fn connector(config: &Config) -> Result<Connector, UrlError> {
    let options = common(config)?;
    if config.pooler {
        return Ok(Connector {
            options: options.extra_float_digits(None),
            is_pooled: true,
            timeout: config.acquire_timeout,
        });
    }
    let limit = config.statement_timeout.as_millis().to_string();
    let options = options.options([
        ("default_transaction_isolation", ISOLATION),
        // A plan for any values would read all users by their id to find the few with a role.
        ("plan_cache_mode", "force_custom_plan"),
        ("statement_timeout", limit.as_str()),
        // The server is never told of a client that is lost in silence, and would keep the locks of its transaction.
        ("idle_in_transaction_session_timeout", limit.as_str()),
        ("client_connection_check_interval", CLIENT_CHECK),
    ]);
    Ok(Connector { options, is_pooled: false, timeout: config.acquire_timeout })
}

fn common(config: &Config) -> Result<PgConnectOptions, UrlError> {
    let accepts = |name: &str, value: &str| match name {
        "sslmode" | "ssl-mode" => value.parse::<PgSslMode>().is_ok(),
        "hostaddr" => value.parse::<IpAddr>().is_ok(),
        "port" => value.parse::<u16>().is_ok(),
        "statement-cache-capacity" => value.parse::<usize>().is_ok(),
        _ => true,
    };
    database_url::check(&config.url, database_url::POSTGRES, accepts)?;
    let has = |wanted: &[&str]| config.url.query_pairs().any(|(name, _)| wanted.contains(&&*name));
    if config.url.host_str().is_none_or(str::is_empty) && !has(&["host", "hostaddr"]) {
        return Err(UrlError::Form(URL));
    }
    // The driver logs a line of ~/.pgpass that it cannot read as a whole, and with it the password there.
    let options = with_default(&Dispatch::none(), || PgConnectOptions::from_url(&config.url));
    let options = options.map_err(|_| UrlError::Form(URL))?.disable_statement_logging();
    // The resolver knows an IPv6 address without the brackets that a URL puts around it.
    let host = options.get_host().trim_start_matches('[').trim_end_matches(']').to_owned();
    let options = options.host(&host);
    Ok(if has(&["application_name"]) { options } else { options.application_name("glasshouse") })
}

/// Where the server is.
pub(super) fn location(connector: &Connector) -> Location {
    let options = &connector.options;
    let namespace = options.get_database().unwrap_or_else(|| options.get_username()).to_owned();
    let host = options.get_socket().map_or_else(|| options.get_host().to_owned(), |path| path.display().to_string());
    Location { namespace, server: Some((host, options.get_port())) }
}
