//! What a failed call means; the only reader of `sqlx::Error`.

use std::{borrow::Cow, error::Error, fmt};

use sqlx::{
    error::{DatabaseError, ErrorKind},
    postgres::PgDatabaseError,
    sqlite::SqliteError,
};

use super::metrics::CallOutcome;
use crate::{
    domain::users::StoreError,
    faults::Injected,
    resilience::deadline::{Struck, Whose},
};

/// Why a call failed.
///
/// Neither `Display` nor `Debug` ever shows a value: what a database says of a value it refuses often repeats it.
pub struct Failure(Cause);

enum Cause {
    /// What the database or the way to it says.
    Sqlx(sqlx::Error),
    /// Nobody waits any more.
    Late(Struck),
}

/// `error.type` of a failure that has no code of its own.
mod word {
    pub(super) const TIMEOUT: &str = "pool_timeout";
    pub(super) const CLOSED: &str = "pool_closed";
    pub(super) const IO: &str = "io";
    pub(super) const TLS: &str = "tls";
    pub(super) const PROTOCOL: &str = "protocol";
    pub(super) const DECODE: &str = "decode";
    pub(super) const DEADLINE: &str = "deadline";
    /// A client that gave up beforehand is one that has given up.
    pub(super) const CANCELLED: &str = crate::store::database::CANCELLED;
    pub(super) const CEILING: &str = "ceiling";
    pub(super) const OTHER: &str = "_OTHER";
}

impl Failure {
    /// `error.type`: the database's own code, or a word.
    #[must_use]
    pub fn error_type(&self) -> Cow<'static, str> {
        if let Some(code) = self.status_code() {
            return Cow::Owned(code);
        }
        let error = match &self.0 {
            Cause::Sqlx(error) => error,
            Cause::Late(Struck::Deadline(Whose::Ours)) => return Cow::Borrowed(word::DEADLINE),
            Cause::Late(Struck::Deadline(Whose::Client)) => return Cow::Borrowed(word::CANCELLED),
            Cause::Late(Struck::Ceiling) => return Cow::Borrowed(word::CEILING),
        };
        Cow::Borrowed(match error {
            sqlx::Error::PoolTimedOut => word::TIMEOUT,
            sqlx::Error::PoolClosed => word::CLOSED,
            sqlx::Error::Io(_) => word::IO,
            sqlx::Error::Tls(_) => word::TLS,
            sqlx::Error::Protocol(_) => word::PROTOCOL,
            sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } | sqlx::Error::ColumnNotFound(_) => word::DECODE,
            _ => word::OTHER,
        })
    }

    /// `db.response.status_code`: SQLSTATE, or SQLite's extended result code.
    #[must_use]
    pub fn status_code(&self) -> Option<String> {
        self.database().and_then(DatabaseError::code).map(Cow::into_owned)
    }

    /// Whether no connection came free in time.
    #[must_use]
    pub fn is_pool_timeout(&self) -> bool {
        matches!(self.0, Cause::Sqlx(sqlx::Error::PoolTimedOut))
    }

    /// Whether the pool is closed: it is we who are stopping.
    #[must_use]
    pub fn is_pool_closed(&self) -> bool {
        matches!(self.0, Cause::Sqlx(sqlx::Error::PoolClosed))
    }

    /// Whether the database itself is away or too slow, so that other calls will fare no better: of what is
    /// unavailable, all but what concerns some calls only, such as a lock, a full disk or a table that is not there yet.
    #[must_use]
    pub fn is_away(&self) -> bool {
        let Some(error) = self.database() else { return self.is_unavailable() };
        error.code().is_some_and(|code| match error.try_downcast_ref::<SqliteError>() {
            Some(_) => sqlite_is_away(&code),
            None => postgres_is_away(&code),
        })
    }

    /// Whether it was the connection that failed, so that another one may do.
    #[must_use]
    pub fn is_dead_connection(&self) -> bool {
        match &self.0 {
            Cause::Sqlx(sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed) => true,
            _ => self.sqlstate().is_some_and(|code| FATAL.contains(&&*code)),
        }
    }

    /// Whether the database has answered, so that the connection is free for the next call.
    pub(super) fn is_answer(&self) -> bool {
        self.database().is_some() && !self.is_dead_connection()
    }

    /// Whether the database did not answer in the time that it has for an answer.
    pub(super) const fn is_silence(&self) -> bool {
        matches!(self.0, Cause::Late(Struck::Ceiling))
    }

    /// Whether the client would not wait any longer, which says nothing of the database.
    pub(super) const fn is_given_up(&self) -> bool {
        matches!(self.0, Cause::Late(Struck::Deadline(Whose::Client)))
    }

    /// How the alerts count a call that failed so.
    pub(super) fn outcome(&self) -> CallOutcome {
        let kind = self.database().map(DatabaseError::kind);
        let is_refused_value = matches!(kind, Some(ErrorKind::UniqueViolation | ErrorKind::ForeignKeyViolation));
        if is_refused_value || self.is_given_up() { CallOutcome::Client } else { CallOutcome::Failure }
    }

    /// Whether nobody waited any longer.
    pub(super) const fn is_late(&self) -> bool {
        matches!(self.0, Cause::Late(Struck::Deadline(_)))
    }

    /// Whether the connection leads to a server, or into a session, that takes no writes: a standby, mostly, or what has
    /// become one. It works on, and will refuse writes as long as it is open.
    pub(super) fn is_read_only(&self) -> bool {
        self.sqlstate().as_deref() == Some("25006")
    }

    /// Whether what was prepared on the connection is not what the server has since a migration: another connection
    /// prepares it anew.
    pub(super) fn is_outdated(&self) -> bool {
        let Some(error) = self.database().and_then(|error| error.try_downcast_ref::<PgDatabaseError>()) else {
            return false;
        };
        // The first is also said of what a server cannot do at all; of plans it is this function that says it.
        error.code() == "26000" || (error.code() == "0A000" && error.routine() == Some("RevalidateCachedQuery"))
    }

    /// Whether another connection has SQLite's file to itself.
    pub(super) fn is_busy(&self) -> bool {
        let error = self.database().filter(|error| error.try_downcast_ref::<SqliteError>().is_some());
        error.and_then(DatabaseError::code).and_then(|code| sqlite_primary(&code)) == Some(SQLITE_BUSY)
    }

    /// Whether the database is away, full, too busy, or too slow, so that later may be better.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        let error = match &self.0 {
            Cause::Sqlx(error) => error,
            Cause::Late(_) => return true,
        };
        match error {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            // A proxy whose server is gone takes a connection and hangs up.
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed => true,
            sqlx::Error::Database(error) => match error.try_downcast_ref::<SqliteError>() {
                Some(_) => {
                    let is_unavailable = error.code().is_some_and(|code| sqlite_is_unavailable(&code));
                    is_unavailable || sqlite_is_unmigrated(error.message())
                }
                None => self.is_outdated() || error.code().is_some_and(|code| postgres_is_unavailable(&code)),
            },
            _ => false,
        }
    }

    fn database(&self) -> Option<&dyn DatabaseError> {
        match &self.0 {
            Cause::Sqlx(error) => error.as_database_error(),
            Cause::Late(_) => None,
        }
    }

    fn sqlstate(&self) -> Option<Cow<'_, str>> {
        self.database().filter(|error| error.try_downcast_ref::<SqliteError>().is_none()).and_then(DatabaseError::code)
    }
}

/// What is said of a connection that is over: timeouts of a session, shutting down, crashed, dropped, idle, gone, and a
/// pooler without its server.
const FATAL: [&str; 9] = ["25P03", "25P04", "57P01", "57P02", "57P04", "57P05", "08003", "08006", "08P01"];

/// Away, full, too busy, or too slow: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn postgres_is_unavailable(code: &str) -> bool {
    // Out of reach; lets nobody in, for now or for this role; out of something; its disk fails.
    const CLASSES: [&str; 4] = ["08", "28", "53", "58"];
    const CODES: [&str; 10] =
        ["25006", "25P03", "40001", "40P01", "55P03", "57014", "57P01", "57P02", "57P03", "57P05"];
    // A table or a column that is not there yet: the migration that brings it is on its way.
    const UNMIGRATED: [&str; 2] = ["42P01", "42703"];
    UNMIGRATED.contains(&code)
        || CODES.contains(&code)
        || LOCKED_OUT.contains(&code)
        || CLASSES.iter().any(|class| code.starts_with(class))
}

/// The database is not there, is closed to everybody, or was dropped: said to whoever connects, so nothing was done.
const LOCKED_OUT: [&str; 3] = ["3D000", "55000", "57P04"];

/// Of these, what befalls every call: no connection, none for us, none left, stopping or starting, statements that take too long.
fn postgres_is_away(code: &str) -> bool {
    const CODES: [&str; 6] = ["53300", "57014", "57P01", "57P02", "57P03", "57P05"];
    code.starts_with("08") || code.starts_with("28") || CODES.contains(&code) || LOCKED_OUT.contains(&code)
}

const SQLITE_BUSY: u32 = 5;
const SQLITE_IOERR: u32 = 10;
const SQLITE_CANTOPEN: u32 = 14;

/// The same for SQLite: <https://www.sqlite.org/rescode.html>.
fn sqlite_is_unavailable(code: &str) -> bool {
    const LOCKED: u32 = 6;
    const INTERRUPT: u32 = 9;
    const FULL: u32 = 13;
    matches!(sqlite_primary(code), Some(SQLITE_BUSY | LOCKED | INTERRUPT | SQLITE_IOERR | FULL | SQLITE_CANTOPEN))
}

/// Of these, what befalls every call: one writer waits for another while readers go on.
fn sqlite_is_away(code: &str) -> bool {
    matches!(sqlite_primary(code), Some(SQLITE_IOERR | SQLITE_CANTOPEN))
}

/// A table or a column that is not there yet. SQLite has no code for it: all that is wrong with a statement is 1.
fn sqlite_is_unmigrated(message: &str) -> bool {
    message.starts_with("no such table: ")
        || message.starts_with("no such column: ")
        || message.contains(" has no column named ")
}

/// The lowest octet of an extended code tells what happened, the rest tells details.
fn sqlite_primary(code: &str) -> Option<u32> {
    Some(code.parse::<u32>().ok()? & 0xff)
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self(Cause::Sqlx(error))
    }
}

impl From<Struck> for Failure {
    fn from(struck: Struck) -> Self {
        Self(Cause::Late(struck))
    }
}

/// Whether the server has no connection to spare, and may have one in a moment.
pub(super) fn is_full(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(DatabaseError::code).is_some_and(|code| code == "53300")
}

/// An answer of the database that a fault has made up: nobody has a rule for its code, as for that of a real surprise.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(super) struct InjectedAnswer(pub(super) Injected);

impl DatabaseError for InjectedAnswer {
    fn message(&self) -> &'static str {
        "a fault was injected"
    }

    fn code(&self) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed("injected"))
    }

    fn as_error(&self) -> &(dyn Error + Send + Sync + 'static) {
        self
    }

    fn as_error_mut(&mut self) -> &mut (dyn Error + Send + Sync + 'static) {
        self
    }

    fn into_error(self: Box<Self>) -> Box<dyn Error + Send + Sync + 'static> {
        self
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}

/// A unique index is [`StoreError::Taken`]; a missing parent row is [`StoreError::Stale`]: it was there a moment ago.
impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure.database().map(DatabaseError::kind) {
            Some(ErrorKind::UniqueViolation) => Self::Taken,
            Some(ErrorKind::ForeignKeyViolation) => Self::Stale,
            _ if failure.is_late() => Self::Late(Box::new(failure)),
            _ if failure.is_unavailable() => Self::Unavailable(Box::new(failure)),
            _ => Self::Broken(Box::new(failure)),
        }
    }
}

impl std::error::Error for Failure {}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error = match &self.0 {
            Cause::Sqlx(error) => error,
            Cause::Late(Struck::Deadline(Whose::Ours)) => return f.write_str("the request's time is over"),
            Cause::Late(Struck::Deadline(Whose::Client)) => return f.write_str("the client does not wait so long"),
            Cause::Late(Struck::Ceiling) => return f.write_str("the database has not answered in time"),
        };
        match error {
            sqlx::Error::Database(error) => {
                let code = error.code().unwrap_or_default();
                // Classes 22 and 23 are about values, and their messages repeat them.
                let tells_values = self.sqlstate().is_some_and(|code| code.starts_with("22") || code.starts_with("23"));
                if tells_values {
                    write!(f, "the database answered {code}")
                } else {
                    write!(f, "the database answered {code}: {}", error.message())
                }
            }
            sqlx::Error::ColumnDecode { index, .. } => write!(f, "column {index} cannot be read"),
            sqlx::Error::Decode(_) => f.write_str("a row cannot be read"),
            sqlx::Error::Encode(_) => f.write_str("a value cannot be written"),
            error => error.fmt(f),
        }
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Failure({self})")
    }
}
