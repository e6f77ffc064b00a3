//! Every span name.

use super::Signal;

/// What stands in braces is filled in from a closed set: routes of the API, statements of the store.
pub const SPANS: &[Signal] = &[
    Signal { name: "{http.request.method} {http.route}", meaning: "A request to the public port; kind server" },
    Signal { name: "{db.query.summary}", meaning: "One database call, BEGIN and COMMIT too; kind client" },
    Signal { name: "pool wait", meaning: "Waiting for a database connection, where none was free" },
    Signal { name: "hash password", meaning: "Hashing or checking a password, with the wait for a place" },
    Signal { name: "sweep sessions", meaning: "Removing sessions that have expired" },
    Signal { name: "sweep idempotency keys", meaning: "Forgetting idempotency keys that nobody uses again" },
    Signal { name: "sweep audit", meaning: "Removing entries of the audit trail that were kept long enough" },
];
