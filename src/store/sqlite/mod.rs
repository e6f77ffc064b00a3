//! SQLite: one file, durable when a write returns, one writer at a time.

mod statements;

use std::{path::Path, time::Duration};

use sqlx::{
    ConnectOptions, Executor, Sqlite,
    sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteQueryResult, SqliteSynchronous},
};

pub use self::statements::STATEMENTS;
use super::{
    Config, OpenError,
    database::{Engine, Location, Statements},
};

impl Engine for Sqlite {
    const SYSTEM: &'static str = "sqlite";
    const STATEMENTS: &'static Statements = STATEMENTS;

    fn rows_affected(result: &SqliteQueryResult) -> u64 {
        result.rows_affected()
    }

    async fn control(connection: &mut SqliteConnection, sql: &'static str) -> Result<(), sqlx::Error> {
        connection.execute(sql).await.map(drop)
    }
}

/// How each connection is opened; makes the file's folder if the file may be made.
///
/// # Errors
/// As [`OpenError`] says. A database in memory is refused: it would end with its connection, and acknowledged writes
/// with it.
pub(super) fn options(config: &Config) -> Result<SqliteConnectOptions, OpenError> {
    let parameter = |name: &str, value: &str| config.url.query_pairs().any(|(key, is)| key == name && is == value);
    if parameter("mode", "memory") || config.url.as_str().contains(":memory:") {
        return Err(OpenError::InMemory);
    }
    let options = SqliteConnectOptions::from_url(&config.url)
        .map_err(|_| OpenError::Url("must be like sqlite://path?mode=rwc, with mode rwc or rw"))?
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(config.statement_timeout)
        .disable_statement_logging();
    if parameter("mode", "rwc")
        && let Some(folder) = options.get_filename().parent()
    {
        std::fs::create_dir_all(folder).map_err(OpenError::Folder)?;
    }
    Ok(options)
}

/// How the connection is opened that migrates: it may wait long for another process that does the same.
pub(super) fn patient(options: &SqliteConnectOptions) -> SqliteConnectOptions {
    options.clone().busy_timeout(Duration::from_mins(5))
}

/// The file's name; its folder is nobody's business.
pub(super) fn location(options: &SqliteConnectOptions) -> Location {
    let file = options.get_filename();
    let name = file.file_name().map_or(file, Path::new);
    Location { namespace: name.to_string_lossy().into_owned(), server: None }
}
