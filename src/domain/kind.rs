//! The ten ways an operation can end badly.

/// How an operation failed, as far as any edge needs to know.
///
/// Closed on purpose: an edge matches it without `_`, so that a new kind cannot be forgotten there.
/// What only one protocol knows (406, 413, 415, 428) is that edge's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The input breaks a rule; the faults say which, field by field.
    Invalid,
    /// Nobody is signed in, or what was shown proves nothing.
    Unauthenticated,
    /// The caller is known and may not do this.
    Forbidden,
    /// What was asked for is not here.
    NotFound,
    /// The change contradicts what is here.
    Conflict,
    /// The change was made to a version that is no longer the current one.
    Stale,
    /// The caller asks too often.
    TooMany,
    /// Something the operation needs is away or full; the same call may succeed later.
    Unavailable,
    /// The operation did not end within its time.
    Timeout,
    /// A bug or a broken dependency; the inside stays inside.
    Internal,
}
