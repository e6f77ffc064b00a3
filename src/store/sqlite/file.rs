//! The database file: whether its path still leads to the file that is open, and whether it can be read and written.

use std::{
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use sqlx::{ConnectOptions, Connection, Executor};

use super::{Connector, STATEMENTS};
use crate::store::failure::Failure;

/// Wait for the write lock within the check. A lock that is held proves that the file can be written.
const CHECK_BUSY_TIMEOUT: Duration = Duration::from_millis(100);

/// The file at the path of the URL, by device and inode as it was first opened.
///
/// After the path has been unlinked or replaced, SQLite goes on writing to the old file, and everything written is lost
/// when the process ends. A new connection would open another file, so none is opened any more.
#[derive(Debug)]
pub(super) struct DatabaseFile {
    path: PathBuf,
    identity: OnceLock<(u64, u64)>,
    is_reported: AtomicBool,
}

/// The path does not lead to the open file any more.
#[derive(Debug, thiserror::Error)]
pub(in crate::store) enum FileChanged {
    /// There is no file at the path.
    #[error("the database file was removed while it was open: {REMEDY}")]
    Removed,
    /// There is another file at the path.
    #[error("the database file was replaced while it was open: {REMEDY}")]
    Replaced,
    /// The file was truncated.
    #[error("the database file was emptied while it was open: restore it from a backup and restart")]
    Emptied,
}

const REMEDY: &str = "what is written from now on is lost when the process ends; copy the open file from /proc/PID/fd, \
                      then restart";

impl DatabaseFile {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), identity: OnceLock::new(), is_reported: AtomicBool::new(false) }
    }

    /// Stores which file the path leads to, if no connection has done so yet.
    pub(super) async fn record(&self) -> io::Result<()> {
        if self.identity.get().is_none() {
            let metadata = tokio::fs::metadata(&self.path).await?;
            self.identity.get_or_init(|| (metadata.dev(), metadata.ino()));
        }
        Ok(())
    }

    /// Compares the file at the path with the one that was opened first, and logs an error when they begin to differ.
    ///
    /// # Errors
    /// [`FileChanged`]; never before a file was opened.
    pub(super) async fn verify(&self) -> Result<(), FileChanged> {
        let Some(opened) = self.identity.get() else { return Ok(()) };
        let verdict = match tokio::fs::metadata(&self.path).await {
            Ok(found) if (found.dev(), found.ino()) != *opened => Err(FileChanged::Replaced),
            Ok(found) if found.len() == 0 => Err(FileChanged::Emptied),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(FileChanged::Removed),
            // A folder that cannot be searched is for SQLite to report.
            Ok(_) | Err(_) => Ok(()),
        };
        let was_reported = self.is_reported.swap(verdict.is_err(), Relaxed);
        if let (Err(changed), false) = (&verdict, was_reported) {
            tracing::error!(target: "glasshouse::store", { error.message = %changed }, "database file lost");
        }
        verdict
    }
}

/// Opens the file once more and asks for the schema and the write lock. A connection of the pool would answer from its
/// cache after the file was overwritten. SQLite opens the file itself: a descriptor of ours, once closed, would release
/// the process's POSIX locks on it.
///
/// # Errors
/// Why the file cannot serve.
pub(in crate::store) async fn check(connector: &Connector) -> Result<(), Failure> {
    let options = connector.options.clone().create_if_missing(false).busy_timeout(CHECK_BUSY_TIMEOUT);
    let checked = async {
        let mut connection = options.connect().await?;
        // Its one value is left unbound, which SQLite takes for NULL: each table is read all the same.
        connection.fetch_all(STATEMENTS.check_schema.sql).await?;
        connection.execute("BEGIN IMMEDIATE; ROLLBACK").await?;
        connection.close().await
    };
    match checked.await.map_err(Failure::from) {
        Err(failure) if failure.is_busy() => Ok(()),
        checked => checked,
    }
}
