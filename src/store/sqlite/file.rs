//! The database file: whether its path still leads to the file that is open, and whether it can be read and written.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use sqlx::{ConnectOptions, Connection, Executor};
use tokio::task::spawn_blocking;

use super::{Connector, STATEMENTS};
use crate::store::failure::Failure;

/// Wait for the write lock within the check. A lock that is held proves that the file can be written.
const CHECK_BUSY_TIMEOUT: Duration = Duration::from_millis(100);

/// Pause before a removed log is looked for again: SQLite itself removes the log when the last connection closes, and
/// closes it within this.
const RECHECK_DELAY: Duration = Duration::from_millis(10);

/// The file at the path of the URL, by device and inode as it was first opened, and its write-ahead log.
///
/// After the path has been unlinked or replaced, SQLite goes on writing to the old file, and everything written is lost
/// when the process ends. A new connection would open another file, so none is opened any more.
#[derive(Debug)]
pub(super) struct DatabaseFile {
    path: PathBuf,
    opened: OnceLock<OpenedFile>,
    is_reported: AtomicBool,
}

#[derive(Debug)]
struct OpenedFile {
    device: u64,
    inode: u64,
    /// How Linux names an open descriptor of the write-ahead log and of its index after their removal.
    removed_logs: [PathBuf; 2],
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
    /// The write-ahead log or its index was removed.
    #[error(
        "the write-ahead log was removed while it was open: restart with SIGTERM, which moves the open log into the \
         database file; SIGKILL loses it"
    )]
    LogRemoved,
}

const REMEDY: &str = "what is written from now on is lost when the process ends; copy the open file from /proc/PID/fd, \
                      then restart";

impl DatabaseFile {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), opened: OnceLock::new(), is_reported: AtomicBool::new(false) }
    }

    /// Stores which file the path leads to, if no connection has done so yet.
    pub(super) async fn record(&self) -> io::Result<()> {
        if self.opened.get().is_none() {
            // SQLite names the log after the path without symbolic links.
            let path = tokio::fs::canonicalize(&self.path).await?;
            let metadata = tokio::fs::metadata(&path).await?;
            let removed_logs = ["-wal (deleted)", "-shm (deleted)"].map(|suffix| {
                let mut name = path.clone().into_os_string();
                name.push(suffix);
                name.into()
            });
            let opened = OpenedFile { device: metadata.dev(), inode: metadata.ino(), removed_logs };
            self.opened.get_or_init(|| opened);
        }
        Ok(())
    }

    /// Compares the file at the path with the one that was opened first, and logs an error when they begin to differ or
    /// the write-ahead log has been removed. A connection that is opened after that would create another log.
    ///
    /// # Errors
    /// [`FileChanged`]; never before a file was opened.
    pub(super) async fn verify(self: &Arc<Self>) -> Result<(), FileChanged> {
        let Some(opened) = self.opened.get() else { return Ok(()) };
        let verdict = match tokio::fs::metadata(&self.path).await {
            Ok(found) if (found.dev(), found.ino()) != (opened.device, opened.inode) => Err(FileChanged::Replaced),
            Ok(found) if found.len() == 0 => Err(FileChanged::Emptied),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(FileChanged::Removed),
            _ if self.has_removed_log().await => Err(FileChanged::LogRemoved),
            // A folder that cannot be searched is for SQLite to report.
            Ok(_) | Err(_) => Ok(()),
        };
        let was_reported = self.is_reported.swap(verdict.is_err(), Relaxed);
        if let (Err(changed), false) = (&verdict, was_reported) {
            tracing::error!(target: "glasshouse::store", { error.message = %changed }, "database file lost");
        }
        verdict
    }

    /// Whether the write-ahead log or its index is open and has no path any more.
    async fn has_removed_log(self: &Arc<Self>) -> bool {
        for delay in [Duration::ZERO, RECHECK_DELAY] {
            tokio::time::sleep(delay).await;
            let this = Arc::clone(self);
            // Without /proc the log cannot be checked.
            let is_removed =
                spawn_blocking(move || this.opened.get().is_some_and(|it| it.has_removed_log().unwrap_or(false)));
            if !is_removed.await.unwrap_or(false) {
                return false;
            }
        }
        true
    }
}

impl OpenedFile {
    fn has_removed_log(&self) -> io::Result<bool> {
        for descriptor in fs::read_dir("/proc/self/fd")? {
            // A descriptor may be closed meanwhile.
            if let Ok(target) = fs::read_link(descriptor?.path())
                && self.removed_logs.contains(&target)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Takes the write lock and releases it. `BEGIN IMMEDIATE` alone would succeed on a read-only file, as a transaction that
/// only reads; the statement, which finds no row, does not.
const WRITE: &str = "BEGIN IMMEDIATE; DELETE FROM idempotency_keys WHERE key = x''; ROLLBACK";

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
        connection.execute(WRITE).await?;
        connection.close().await
    };
    match checked.await.map_err(Failure::from) {
        Err(failure) if failure.is_busy() => Ok(()),
        checked => checked,
    }
}
