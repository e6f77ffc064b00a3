//! Every field of a log line.

use super::Signal;

const fn field(name: &'static str, meaning: &'static str) -> Signal {
    Signal { name, meaning }
}

/// What stands on every line, then what ends a request, then the rest.
pub const FIELDS: &[Signal] = &[
    field("timestamp", "When it was written: RFC 3339, UTC, to the microsecond"),
    field("level", "ERROR, WARN, INFO, DEBUG or TRACE"),
    field("target", "Which part of the service speaks"),
    field("message", "What happened, in words"),
    field("service.name", "Whose line it is"),
    field("service.version", "Which version wrote it"),
    field("request_id", "X-Request-ID of the request that it belongs to"),
    field("trace_id", "The trace that it belongs to"),
    field("span_id", "The span that it belongs to"),
    field("user.id", "Whose request it was, or whose session"),
    // The one line that ends each request.
    field("http.request.method", "The method; _OTHER for those that nobody knows"),
    field("http.route", "The template of the path; _unmatched where there is none"),
    field("http.response.status_code", "The status; 499 for a client that went away"),
    field("duration_seconds", "How long the request took, to the end of its answer; or the statement, or the wait"),
    field("http.request.body.size", "How many octets of its body were read"),
    field("http.response.body.size", "How many octets of the answer's body were written"),
    field("url.scheme", "http, or https if a trusted proxy says so"),
    field("client.address", "Who asked, as far as trusted proxies know"),
    field("user_agent.original", "What the client calls itself, cut and in visible ASCII"),
    field("db.queries", "How many statements it made"),
    field("db.query.summary", "One statement, at level DEBUG"),
    field("db.duration_seconds", "How long they took, all together"),
    field("db.wait_seconds", "How long it waited for database connections"),
    field("error.type", "How it failed: the label of the metrics"),
    field("error.code", "The stable word that the client was told"),
    field("error.message", "What went wrong, and everything below it"),
    // Starting and stopping.
    field("server.address", "Where the public port listens"),
    field("internal.address", "Where the internal port listens"),
    field("db.system.name", "Which store there is"),
    field("service.revision", "Which revision was built"),
    field("migration.version", "The number of a migration"),
    field("migration.name", "Its name"),
    field("retry_seconds", "When it is tried again"),
    field("signal", "Who asked to stop"),
    field("step", "A step of stopping"),
    field("took_seconds", "How long it took"),
    field("budget_seconds", "How long it may take"),
    field("complete", "Whether every request had ended"),
    // While it runs.
    field("session.id", "A session, never its tokens"),
    field("sessions", "How many sessions"),
    field("console.clients", "How many looked when tokio-console was switched off past its limit"),
    field("console.limit", "Which limit that was: memory or time"),
    field("log.filter", "The log filter that is in force now"),
    field("log.filter_for", "For how long, if not for good"),
    field("faults.on", "The faults that are injected, or were: what asked for them"),
    field("faults.for", "For how long"),
    field("heap.sampling_for", "For how long the heap is sampled, if not for good"),
    field("otel.signal", "What is exported: spans or logs"),
    field("exception.type", "Always panic"),
    field("exception.message", "What a panic said"),
    field("exception.stacktrace", "Where it came from"),
    field("code.location", "The line that panicked"),
    field("thread.name", "The thread that panicked, or is stuck"),
    field("thread.id", "The system's numbers of the threads that are stuck"),
    field("stall.id", "Which stall at /debug/stalls"),
    field("stall.seconds", "How long it has lasted, or did"),
    field("code.function.name", "The function that a thread is stuck in"),
    field("task.name", "The task that is stuck"),
    field("task.spawned_at", "The line that began it"),
];
