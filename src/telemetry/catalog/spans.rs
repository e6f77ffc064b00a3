//! Every span, with its attributes.

/// A kind of span.
#[derive(Debug)]
pub struct Span {
    /// As it appears. What stands in braces is filled in from a closed set: routes of the API, statements of the store.
    pub name: &'static str,
    /// The end of its id in the registry of [`super::weaver`].
    pub id: &'static str,
    /// OpenTelemetry's span kind: server, client or internal.
    pub kind: &'static str,
    /// What it stands for, in one sentence, without a full stop.
    pub meaning: &'static str,
    /// Attributes that each span of this kind has.
    pub required: &'static [&'static str],
    /// Attributes that it has where there is such a value.
    pub optional: &'static [&'static str],
}

const fn internal(name: &'static str, id: &'static str, meaning: &'static str) -> Span {
    Span { name, id, kind: "internal", meaning, required: &[], optional: &["error.type"] }
}

/// All of them. A request of a method that HTTP does not define is called `HTTP` instead, one without a route by its method.
pub const SPANS: &[Span] = &[
    Span {
        name: "{http.request.method} {http.route}",
        id: "http.server",
        kind: "server",
        meaning: "A request to the public port",
        required: &[
            "http.request.body.size",
            "http.request.header.x-request-id",
            "http.request.method",
            "http.response.body.size",
            "http.response.status_code",
            "network.protocol.name",
            "network.protocol.version",
            "url.path",
            "url.scheme",
        ],
        optional: &[
            "client.address",
            "error.type",
            "http.request.method_original",
            "http.route",
            "network.peer.address",
            "user.id",
            "user_agent.original",
        ],
    },
    Span {
        name: "{db.query.summary}",
        id: "db.client",
        kind: "client",
        meaning: "One database call, BEGIN and COMMIT too",
        required: &["db.namespace", "db.operation.name", "db.query.summary", "db.query.text", "db.system.name"],
        optional: &[
            "db.collection.name",
            "db.response.returned_rows",
            "db.response.status_code",
            "error.type",
            "glasshouse.db.affected_rows",
            "server.address",
            "server.port",
        ],
    },
    Span {
        name: "pool wait",
        id: "pool_wait",
        kind: "internal",
        meaning: "Waiting for a database connection, where none was free",
        required: &["db.namespace", "db.system.name"],
        optional: &["error.type", "server.address", "server.port"],
    },
    internal("hash password", "hash_password", "Hashing or checking a password, with the wait for a place"),
    internal("check clock", "check_clock", "Comparing the clock with the sessions, before the first sweep"),
    internal("sweep sessions", "sweep_sessions", "Removing sessions that have expired"),
    internal("sweep idempotency keys", "sweep_idempotency_keys", "Removing idempotency keys that have expired"),
    internal("sweep audit", "sweep_audit", "Removing entries of the audit trail that were kept long enough"),
];
