//! SQLite: one file, durable when a write returns, one writer at a time.

mod statements;

use std::{path::Path, time::Duration};

use sqlx::{
    ConnectOptions, Executor, SqlStr, Sqlite,
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

    async fn opened(_: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        Ok(())
    }

    /// Nobody stands between us and a file.
    fn pooled_begin(_: Duration) -> SqlStr {
        SqlStr::from_static(STATEMENTS.begin.sql)
    }

    async fn control(connection: &mut SqliteConnection, sql: SqlStr) -> Result<(), sqlx::Error> {
        connection.execute(sql).await.map(drop)
    }
}

/// What the URL must be.
const URL: &str = "like sqlite://path?mode=rwc, with the path of a file and mode rwc or rw: a database in memory ends with \
                   its connection, and one that is only read keeps nothing";

/// How each connection is opened.
///
/// # Errors
/// What the URL must be. A database without a file of its own is refused: it would end with its connection, and
/// acknowledged writes with it.
pub(super) fn options(config: &Config) -> Result<SqliteConnectOptions, &'static str> {
    let options = SqliteConnectOptions::from_url(&config.url).map_err(|_| URL)?;
    let modes = config.url.query_pairs().filter(|(name, _)| name == "mode");
    let is_written = modes.into_iter().all(|(_, mode)| mode == "rw" || mode == "rwc");
    // To SQLite no name is a file that is gone in the end; `:memory:` and URIs may stand for none at all.
    let name = options.get_filename().to_string_lossy();
    let is_file = !name.is_empty() && !name.starts_with(':') && !name.starts_with("file:");
    if !is_written || !is_file {
        return Err(URL);
    }
    Ok(options
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(config.statement_timeout)
        .disable_statement_logging())
}

/// Makes the file's folder, if the URL says that the file may be made.
///
/// # Errors
/// [`OpenError::Folder`].
pub(super) fn make_folder(config: &Config, options: &SqliteConnectOptions) -> Result<(), OpenError> {
    if !config.url.query_pairs().any(|(name, mode)| name == "mode" && mode == "rwc") {
        return Ok(());
    }
    options.get_filename().parent().map_or(Ok(()), std::fs::create_dir_all).map_err(OpenError::Folder)
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
