//! What a failed call means; the only reader of `sqlx::Error`.

use std::{borrow::Cow, error::Error, fmt};

use sqlx::{
    error::{DatabaseError, ErrorKind},
    postgres::PgDatabaseError,
    sqlite::SqliteError,
};

use super::{
    error_class::{self, ErrorClass, sqlite_primary},
    metrics::CallOutcome,
};
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

    /// Its class; of a deadline that was reached there is none.
    fn class(&self) -> Option<ErrorClass> {
        let error = match &self.0 {
            Cause::Sqlx(error) => error,
            Cause::Late(_) => return None,
        };
        Some(match error {
            sqlx::Error::Database(error) => {
                let code = error.code().unwrap_or_default();
                match error.try_downcast_ref::<SqliteError>() {
                    Some(_) => error_class::of_sqlite(&code, error.message()),
                    None if is_outdated_plan(&**error) => ErrorClass::SchemaChanged,
                    None => error_class::of_postgres(&code),
                }
            }
            // A proxy whose server is gone takes a connection and hangs up.
            sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => ErrorClass::ConnectionLost,
            // A connection that is not what it must be.
            sqlx::Error::Tls(_)
            | sqlx::Error::Configuration(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::BeginFailed => ErrorClass::Unreachable,
            _ => ErrorClass::Broken,
        })
    }

    fn is_class(&self, class: ErrorClass) -> bool {
        self.class() == Some(class)
    }

    /// Whether the database itself is away or too slow, so that other calls will fare no better: of what is
    /// unavailable, all but what concerns some calls only, such as a lock, a full disk or a table that is not there yet.
    #[must_use]
    pub fn is_away(&self) -> bool {
        self.class().is_none_or(ErrorClass::is_away)
    }

    /// Whether it was the connection that failed, so that another one may do.
    #[must_use]
    pub fn is_dead_connection(&self) -> bool {
        matches!(self.class(), Some(ErrorClass::ConnectionLost | ErrorClass::SessionEnded))
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
        let is_refused_value = matches!(
            self.class(),
            Some(ErrorClass::UniqueViolation | ErrorClass::ForeignKeyViolation | ErrorClass::Unrepresentable)
        );
        if is_refused_value || self.is_given_up() { CallOutcome::Client } else { CallOutcome::Failure }
    }

    /// Whether nobody waited any longer.
    pub(super) const fn is_late(&self) -> bool {
        matches!(self.0, Cause::Late(Struck::Deadline(_)))
    }

    /// Whether the connection leads to a server, or into a session, that takes no writes: a standby, mostly, or what has
    /// become one. It works on, and will refuse writes as long as it is open.
    pub(super) fn is_read_only(&self) -> bool {
        self.is_class(ErrorClass::ReadOnly)
    }

    /// Whether what was prepared on the connection is not what the server has since a migration: another connection
    /// prepares it anew.
    pub(super) fn is_outdated(&self) -> bool {
        self.is_class(ErrorClass::SchemaChanged)
    }

    /// Whether a table or a column is missing.
    pub(super) fn is_schema_missing(&self) -> bool {
        self.is_class(ErrorClass::SchemaMissing)
    }

    /// Whether the role may not do what was asked.
    pub(super) fn is_permission_denied(&self) -> bool {
        self.is_class(ErrorClass::PermissionDenied)
    }

    /// Whether a statement waited or ran for longer than the server allows.
    pub(super) fn is_statement_timeout(&self) -> bool {
        matches!(self.sqlstate().as_deref(), Some("57014" | "55P03"))
    }

    /// Whether another connection has SQLite's file to itself.
    pub(super) fn is_busy(&self) -> bool {
        const SQLITE_BUSY: u32 = 5;
        let error = self.database().filter(|error| error.try_downcast_ref::<SqliteError>().is_some());
        let code: Option<u32> = error.and_then(DatabaseError::code).and_then(|code| code.parse().ok());
        code.map(sqlite_primary) == Some(SQLITE_BUSY)
    }

    /// Whether the database is away, full, too busy, or too slow, so that later may be better.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        self.class().is_none_or(ErrorClass::is_unavailable)
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

/// Whether PostgreSQL refuses a cached plan. The code is also that of what a server cannot do at all; of plans it is this
/// function that answers with it.
fn is_outdated_plan(error: &dyn DatabaseError) -> bool {
    let error = error.try_downcast_ref::<PgDatabaseError>();
    error.is_some_and(|error| error.code() == "0A000" && error.routine() == Some("RevalidateCachedQuery"))
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
        match failure.class() {
            Some(ErrorClass::UniqueViolation) => Self::Taken,
            Some(ErrorClass::ForeignKeyViolation) => Self::Stale,
            Some(ErrorClass::Unrepresentable) => Self::Unrepresentable(Box::new(failure)),
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
