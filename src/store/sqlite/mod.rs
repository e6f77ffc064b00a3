//! SQLite: one file, durable when a write returns, one writer at a time.

mod file;
mod statements;

use std::{fs::OpenOptions, io, os::unix::fs::OpenOptionsExt, path::Path, sync::Arc, time::Duration};

use sqlx::{
    ConnectOptions, Executor, SqlStr, Sqlite,
    sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteQueryResult, SqliteSynchronous},
};

use self::file::DatabaseFile;
pub(in crate::store) use self::file::{FileChanged, check};
pub use self::statements::STATEMENTS;
use super::{
    Config,
    database::{Engine, Location, Statements},
    database_url::{self, UrlError},
};

impl Engine for Sqlite {
    type Connector = Connector;

    const SYSTEM: &'static str = "sqlite";
    const STATEMENTS: &'static Statements = STATEMENTS;

    fn rows_affected(result: &SqliteQueryResult) -> u64 {
        result.rows_affected()
    }

    async fn connect(connector: &Connector) -> Result<SqliteConnection, sqlx::Error> {
        let changed = |error| sqlx::Error::Configuration(Box::new(error));
        connector.verify_file().await.map_err(changed)?;
        connector.create_file()?;
        let connection = connector.options.connect().await?;
        connector.file.record().await?;
        Ok(connection)
    }

    /// Nobody stands between us and a file.
    fn pooled_begin(_: Duration) -> SqlStr {
        SqlStr::from_static(STATEMENTS.begin.sql)
    }

    async fn control(connection: &mut SqliteConnection, sql: SqlStr) -> Result<(), sqlx::Error> {
        connection.execute(sql).await.map(drop)
    }
}

/// Opens connections to one file.
#[derive(Debug, Clone)]
pub struct Connector {
    options: SqliteConnectOptions,
    /// Whether the file is created where there is none.
    is_created: bool,
    file: Arc<DatabaseFile>,
}

/// Wait for the write lock of another process that migrates, in one attempt.
const MIGRATION_BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// What the URL must be.
const URL: &str = "like sqlite://path?mode=rwc, with the path of a file and mode rwc or rw: a database in memory ends with \
                   its connection, and one that is only read keeps nothing";

/// How each connection is opened.
///
/// # Errors
/// What the URL must be. A database without a file of its own is refused: it would end with its connection, and
/// acknowledged writes with it.
pub(super) fn connector(config: &Config) -> Result<Connector, UrlError> {
    let accepts = |name: &str, value: &str| match name {
        "mode" => matches!(value, "rw" | "rwc"),
        "cache" => matches!(value, "private" | "shared"),
        _ => true,
    };
    database_url::check(&config.url, database_url::SQLITE, accepts)?;
    let options = SqliteConnectOptions::from_url(&config.url).map_err(|_| UrlError::Form(URL))?;
    // To SQLite no name is a file that is gone in the end; `:memory:` and URIs may stand for none at all.
    let name = options.get_filename().to_string_lossy();
    let is_file = !name.is_empty() && !name.starts_with(':') && !name.starts_with("file:");
    if !is_file {
        return Err(UrlError::Form(URL));
    }
    let file = Arc::new(DatabaseFile::new(options.get_filename()));
    let options = options
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(config.statement_timeout)
        .disable_statement_logging();
    let is_created = config.url.query_pairs().any(|(name, mode)| name == "mode" && mode == "rwc");
    Ok(Connector { options, is_created, file })
}

impl Connector {
    /// The connector of migrations: one attempt waits this long for another process that migrates.
    pub(in crate::store) fn for_migrations(&self) -> Self {
        Self { options: self.options.clone().busy_timeout(MIGRATION_BUSY_TIMEOUT), ..self.clone() }
    }

    /// Checks that the path still leads to the file that was opened first.
    ///
    /// # Errors
    /// [`FileChanged`]
    pub(in crate::store) async fn verify_file(&self) -> Result<(), FileChanged> {
        self.file.verify().await
    }

    /// Creates the folder of the file, if the URL allows to create the file.
    ///
    /// # Errors
    /// Why the folder cannot be created.
    pub(in crate::store) fn create_folder(&self) -> std::io::Result<()> {
        let folder = self.options.get_filename().parent().filter(|_| self.is_created);
        folder.map_or(Ok(()), std::fs::create_dir_all)
    }

    /// Creates the file, if the URL allows it and its folder exists. Only the owner can read and write the file; SQLite
    /// gives the files beside it (`-wal`, `-shm`) the same mode. An existing file keeps its mode.
    ///
    /// # Errors
    /// Why the file cannot be created.
    fn create_file(&self) -> io::Result<()> {
        let file = self.options.get_filename();
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        if !self.is_created || file.exists() || !folder.exists() {
            return Ok(());
        }
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(file) {
            // Another process was faster.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            created => created.map(drop),
        }
    }

    /// Opens the file only to read; nothing, if there is no file.
    ///
    /// # Errors
    /// Why it cannot be opened.
    pub(in crate::store) async fn connect_to_read(&self) -> Result<Option<SqliteConnection>, sqlx::Error> {
        if !tokio::fs::try_exists(self.options.get_filename()).await? {
            return Ok(None);
        }
        let options = SqliteConnectOptions::new().filename(self.options.get_filename()).read_only(true);
        options.busy_timeout(MIGRATION_BUSY_TIMEOUT).disable_statement_logging().connect().await.map(Some)
    }
}

/// The file's name; its folder is nobody's business.
pub(super) fn location(connector: &Connector) -> Location {
    let file = connector.options.get_filename();
    let name = file.file_name().map_or(file, Path::new);
    Location { namespace: name.to_string_lossy().into_owned(), server: None }
}
