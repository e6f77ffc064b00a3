//! Classes of database errors: one table for both engines, so that one fault has one class whatever the engine.

/// The class of an error, which decides what clients are answered, what the circuit breaker learns, and what happens to
/// the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ErrorClass {
    /// The connection is over; another one may do.
    ConnectionLost,
    /// The session was ended because of its own transaction; another one will do.
    SessionEnded,
    /// The database is away, closed to us, or too slow: other calls will fare no better.
    Unreachable,
    /// A lock, a full disk, no memory: other calls may succeed, and this one may later.
    Unavailable,
    /// Reads work and writes are refused.
    ReadOnly,
    /// A table or a column is missing: its migration has not been applied yet.
    SchemaMissing,
    /// A prepared statement does not fit the schema any more; a new connection prepares it again.
    SchemaChanged,
    /// The role may not do this.
    PermissionDenied,
    /// A text has a character that the database cannot store.
    Unrepresentable,
    /// Another row has the same unique value.
    UniqueViolation,
    /// The referenced row is gone.
    ForeignKeyViolation,
    /// A bug of ours or a damaged database.
    Broken,
}

use ErrorClass::{
    Broken, ConnectionLost, ForeignKeyViolation, PermissionDenied, ReadOnly, SchemaChanged, SchemaMissing,
    SessionEnded, Unavailable, UniqueViolation, Unreachable, Unrepresentable,
};

impl ErrorClass {
    /// Whether the same call may succeed later without a change of the program or the input.
    pub(super) const fn is_unavailable(self) -> bool {
        match self {
            ConnectionLost | SessionEnded | Unreachable | Unavailable | ReadOnly | SchemaMissing | SchemaChanged
            | PermissionDenied => true,
            Unrepresentable | UniqueViolation | ForeignKeyViolation | Broken => false,
        }
    }

    /// Whether the database itself is away or too slow.
    pub(super) const fn is_away(self) -> bool {
        matches!(self, ConnectionLost | Unreachable)
    }
}

/// SQLSTATE codes and classes: <https://www.postgresql.org/docs/current/errcodes-appendix.html>. A code of its own comes
/// before the class that it begins with; every class of that page is here.
const POSTGRES: &[(&str, ErrorClass)] = &[
    ("08003", ConnectionLost),  // the connection does not exist
    ("08006", ConnectionLost),  // the connection failed
    ("08P01", ConnectionLost),  // a pooler without its server says so
    ("22021", Unrepresentable), // a character that is not in the repertoire
    ("22P05", Unrepresentable), // a character that cannot be translated
    ("23503", ForeignKeyViolation),
    ("23505", UniqueViolation),
    ("25006", ReadOnly),
    ("25P03", SessionEnded),  // idle in a transaction for too long
    ("25P04", SessionEnded),  // transaction_timeout
    ("26000", SchemaChanged), // an unknown prepared statement
    ("3D000", Unreachable),   // no such database
    ("3F000", SchemaMissing), // no such schema
    ("40001", Unavailable),   // serialization failure
    ("40P01", Unavailable),   // deadlock
    ("42501", PermissionDenied),
    ("42703", SchemaMissing),  // no such column
    ("42P01", SchemaMissing),  // no such table
    ("53300", Unreachable),    // no connection is left
    ("55000", Unreachable),    // the database does not accept connections
    ("55006", Unavailable),    // the object is in use
    ("55P03", Unavailable),    // lock_timeout
    ("57014", Unreachable),    // statement_timeout
    ("57P01", ConnectionLost), // terminated by an administrator
    ("57P02", ConnectionLost), // another process crashed
    ("57P03", Unreachable),    // starting or stopping
    ("57P04", ConnectionLost), // the database was dropped
    ("57P05", ConnectionLost), // idle_session_timeout
    ("00", Broken),
    ("01", Broken),
    ("02", Broken),
    ("03", Broken),
    ("08", Unreachable),
    ("09", Broken),
    ("0A", Broken),
    ("0B", Broken),
    ("0F", Broken),
    ("0L", Broken),
    ("0P", Broken),
    ("0Z", Broken),
    ("10", Broken),
    ("20", Broken),
    ("21", Broken),
    ("22", Broken),
    ("23", Broken),
    ("24", Broken),
    ("25", Broken),
    ("26", Broken),
    ("27", Broken),
    ("28", Unreachable), // the role or its password is refused
    ("2B", Broken),
    ("2D", Broken),
    ("2F", Broken),
    ("34", Broken),
    ("38", Broken),
    ("39", Broken),
    ("3B", Broken),
    ("3D", Broken),
    ("3F", Broken),
    ("40", Unavailable), // transaction rollback
    ("42", Broken),
    ("44", Broken),
    ("53", Unavailable), // out of disk, memory or another resource
    ("54", Broken),
    ("55", Broken),
    ("57", Unavailable), // operator intervention
    ("58", Unreachable), // system error: its disk fails
    ("72", Broken),
    ("F0", Broken),
    ("HV", Broken),
    ("P0", Broken),
    ("XX", Broken),
];

/// SQLite's result codes: <https://www.sqlite.org/rescode.html>. An extended code comes before the primary one, its
/// lowest byte; every primary code of an error is here.
const SQLITE: &[(u32, ErrorClass)] = &[
    (787, ForeignKeyViolation), // SQLITE_CONSTRAINT_FOREIGNKEY
    (1555, UniqueViolation),    // SQLITE_CONSTRAINT_PRIMARYKEY
    (2067, UniqueViolation),    // SQLITE_CONSTRAINT_UNIQUE
    (2579, UniqueViolation),    // SQLITE_CONSTRAINT_ROWID
    (1, Broken),                // SQLITE_ERROR; a missing table is recognised by its message
    (2, Broken),                // SQLITE_INTERNAL
    (3, PermissionDenied),      // SQLITE_PERM
    (4, Unavailable),           // SQLITE_ABORT
    (5, Unavailable),           // SQLITE_BUSY
    (6, Unavailable),           // SQLITE_LOCKED
    (7, Unavailable),           // SQLITE_NOMEM
    (8, ReadOnly),              // SQLITE_READONLY
    (9, Unreachable),           // SQLITE_INTERRUPT
    (10, Unreachable),          // SQLITE_IOERR
    (11, Broken),               // SQLITE_CORRUPT
    (12, Broken),               // SQLITE_NOTFOUND
    (13, Unavailable),          // SQLITE_FULL
    (14, Unreachable),          // SQLITE_CANTOPEN
    (15, Unavailable),          // SQLITE_PROTOCOL: the lock of the write-ahead log
    (16, Broken),               // SQLITE_EMPTY
    (17, SchemaChanged),        // SQLITE_SCHEMA
    (18, Broken),               // SQLITE_TOOBIG
    (19, Broken),               // SQLITE_CONSTRAINT
    (20, Broken),               // SQLITE_MISMATCH
    (21, Broken),               // SQLITE_MISUSE
    (22, Broken),               // SQLITE_NOLFS
    (23, PermissionDenied),     // SQLITE_AUTH
    (24, Broken),               // SQLITE_FORMAT
    (25, Broken),               // SQLITE_RANGE
    (26, Broken),               // SQLITE_NOTADB
];

/// The class of a SQLSTATE; an unknown one is broken.
pub(super) fn of_postgres(code: &str) -> ErrorClass {
    let class = |key: &str| POSTGRES.iter().find(|(known, _)| *known == key).map(|(_, class)| *class);
    class(code).or_else(|| class(code.get(..2)?)).unwrap_or(Broken)
}

/// The class of an extended result code with its message; an unknown one is broken.
pub(super) fn of_sqlite(code: &str, message: &str) -> ErrorClass {
    if is_missing_in_sqlite(message) {
        return SchemaMissing;
    }
    let class = |key: u32| SQLITE.iter().find(|(known, _)| *known == key).map(|(_, class)| *class);
    code.parse().ok().and_then(|code: u32| class(code).or_else(|| class(sqlite_primary(code)))).unwrap_or(Broken)
}

/// The primary result code: the lowest byte.
pub(super) const fn sqlite_primary(code: u32) -> u32 {
    code & 0xff
}

/// SQLite has no code for a missing table or column: everything that is wrong with a statement is `SQLITE_ERROR`.
fn is_missing_in_sqlite(message: &str) -> bool {
    message.starts_with("no such table: ")
        || message.starts_with("no such column: ")
        || message.contains(" has no column named ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every class of the appendix, PostgreSQL 18.
    const CLASSES: &str = "00 01 02 03 08 09 0A 0B 0F 0L 0P 0Z 10 20 21 22 23 24 25 26 27 28 2B 2D 2F 34 38 39 3B 3D 3F \
                           40 42 44 53 54 55 57 58 72 F0 HV P0 XX";

    #[test]
    fn error_class_table_covers_every_sqlstate_class_and_sqlite_code_once() {
        for class in CLASSES.split_whitespace() {
            assert!(POSTGRES.iter().any(|(code, _)| *code == class), "{class}");
        }
        for code in 1..=26 {
            assert!(SQLITE.iter().any(|(known, _)| *known == code), "{code}");
        }
        for (index, (code, _)) in POSTGRES.iter().enumerate() {
            assert!(!POSTGRES[..index].iter().any(|(earlier, _)| earlier == code), "{code} is there twice");
            assert!(CLASSES.contains(&code[..2]) && (code.len() == 2 || code.len() == 5), "{code}");
        }
        for (index, (code, _)) in SQLITE.iter().enumerate() {
            assert!(!SQLITE[..index].iter().any(|(earlier, _)| earlier == code), "{code} is there twice");
        }
    }

    #[test]
    fn same_fault_has_same_class_on_both_engines() {
        for (fault, postgres, sqlite, class) in [
            ("read-only", "25006", 8, ReadOnly),
            ("read-only, the file was moved", "25006", 1032, ReadOnly),
            ("disk full", "53100", 13, Unavailable),
            ("out of memory", "53200", 7, Unavailable),
            ("lock not granted", "55P03", 5, Unavailable),
            ("deadlock", "40P01", 6, Unavailable),
            ("snapshot too old for a write", "40001", 517, Unavailable),
            ("interrupted", "57014", 9, Unreachable),
            ("disk fails", "58030", 10, Unreachable),
            ("disk fails while reading", "58030", 266, Unreachable),
            ("cannot be opened", "3D000", 14, Unreachable),
            ("not permitted", "42501", 3, PermissionDenied),
            ("not authorised", "42501", 23, PermissionDenied),
            ("schema changed", "26000", 17, SchemaChanged),
            ("unique", "23505", 2067, UniqueViolation),
            ("primary key", "23505", 1555, UniqueViolation),
            ("foreign key", "23503", 787, ForeignKeyViolation),
            ("check", "23514", 275, Broken),
            ("not null", "23502", 1299, Broken),
            ("damaged", "XX001", 11, Broken),
            ("damaged index", "XX002", 779, Broken),
            ("too large", "54000", 18, Broken),
            ("wrong type", "42804", 20, Broken),
            ("syntax", "42601", 1, Broken),
            ("unknown to us", "99999", 99, Broken),
        ] {
            assert_eq!(of_postgres(postgres), class, "{fault}: {postgres}");
            assert_eq!(of_sqlite(&sqlite.to_string(), ""), class, "{fault}: {sqlite}");
        }
        for (code, message) in [
            ("42P01", "no such table: users"),
            ("42703", "no such column: email"),
            ("42703", "table users has no column named email"),
        ] {
            assert_eq!((of_postgres(code), of_sqlite("1", message)), (SchemaMissing, SchemaMissing), "{message}");
        }
        for code in ["", "2", "\u{e9}\u{e9}", "injected"] {
            assert_eq!((of_postgres(code), of_sqlite(code, "")), (Broken, Broken), "{code}");
        }
    }
}
