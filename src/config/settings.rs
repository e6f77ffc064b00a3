//! The settings that are ours, each with its default and its meaning: the one list everything else is made from.

use std::time::Duration;

use super::{setting::Setting, shape::Shape};

const MAX_WAIT: Duration = Duration::from_mins(10);
const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);
/// The runtime is looked at ten times a second.
const MIN_STALL: Duration = Duration::from_millis(200);
const DAY: Duration = Duration::from_hours(24);
const BUDGET: Duration = Duration::from_secs(29);

const fn setting(name: &'static str, shape: Shape, default: &'static str, meaning: &'static str) -> Setting {
    Setting { name, variable: None, shape, default, meaning }
}

const fn wait(name: &'static str, default: &'static str, meaning: &'static str) -> Setting {
    setting(name, Shape::Duration { min: MILLISECOND, max: MAX_WAIT }, default, meaning)
}

const fn budget(name: &'static str, default: &'static str, meaning: &'static str) -> Setting {
    setting(name, Shape::Duration { min: Duration::ZERO, max: BUDGET }, default, meaning)
}

const fn whole(name: &'static str, (min, max): (u64, u64), default: &'static str, meaning: &'static str) -> Setting {
    setting(name, Shape::Whole { min, max }, default, meaning)
}

pub(super) const SETTINGS: &[Setting] = &[
    setting(
        "environment",
        Shape::Choice(&["development", "production"]),
        "development",
        "Production refuses to start on defaults that are only good for trying things out.",
    ),
    whole("runtime.workers", (0, 1024), "0", "Threads that serve requests; 0 takes one for each core."),
    setting(
        "http.listen",
        Shape::Address,
        "127.0.0.1:8080",
        "Where the public port listens; port 0 lets the system choose.",
    ),
    setting(
        "http.trusted_proxies",
        Shape::Networks,
        "",
        "Whose X-Forwarded-For and X-Forwarded-Proto are believed; nobody's if empty.",
    ),
    setting(
        "http.cors_origins",
        Shape::Origins,
        "",
        "The origins whose pages may read answers (CORS); none if empty. Cookies are never read, so credentials are \
         never allowed.",
    ),
    whole(
        "http.max_connections",
        (1, 1_000_000),
        "1024",
        "How many connections are open at once; more wait in the kernel's queue.",
    ),
    wait("http.header_timeout", "10s", "How long a client may take to send a request's headers."),
    wait(
        "http.request_timeout",
        "15s",
        "How long a request may take before it is answered with 504; a write that was sent to the database by then is \
         awaited for up to 2s more. Longer than shutdown.grace, and stopping cuts it.",
    ),
    setting(
        "http.max_body_bytes",
        Shape::Size { min: 1024, max: 64 * 1024 * 1024 },
        "64KiB",
        "The longest accepted request body; more is answered with 413.",
    ),
    setting("http.server_timing", Shape::Flag, "true", "Whether answers carry Server-Timing; those to /auth never do."),
    wait("http.slow", "250ms", "A slower request is a warning in the log: the threshold of the latency objective."),
    wait(
        "shed.max_wait",
        "100ms",
        "How long a request may have to wait for its turn while there is more to do than can be done: one that would \
         wait longer is answered with 503. In a burst, as long as http.slow leaves time, and passwords ten times as long.",
    ),
    setting(
        "limits.enabled",
        Shape::Flag,
        "true",
        "Whether a client that asks too often is answered with 429. In production false is a warning at start.",
    ),
    whole(
        "limits.address_rate",
        (1, 1_000_000),
        "10",
        "How many requests a second one client address may make for long; IPv6 addresses with the same first 64 bits \
         are one.",
    ),
    whole("limits.address_burst", (1, 1_000_000), "20", "How many requests it may make at once after a pause."),
    whole(
        "limits.sign_in_rate",
        (1, 1_000_000),
        "30",
        "How many times an hour somebody may try in vain to sign in to one account for long.",
    ),
    whole("limits.sign_in_burst", (1, 1_000_000), "10", "How many times in a row after a pause."),
    whole(
        "limits.max_clients",
        (1024, 1_000_000),
        "65536",
        "How many addresses, and how many accounts, are remembered at once, in 16 bytes each, from the start; \
         beyond it those are forgotten first that have the most left.",
    ),
    setting(
        "internal.listen",
        Shape::Address,
        "127.0.0.1:6060",
        "Where the internal port listens: metrics, health, what the process is doing. Any other address than loopback \
         needs internal.token.",
    ),
    setting(
        "internal.token",
        Shape::Token,
        "",
        "What has to be shown, as Bearer or as Basic password, for everything but metrics and health where the internal \
         port is not on loopback.",
    ),
    setting("internal.token_file", Shape::Path, "", "A file with the token instead of internal.token."),
    setting(
        "internal.require_token_on_loopback",
        Shape::Flag,
        "false",
        "Whether the token is required over loopback too. Set it where a proxy on the same host or in the same pod \
         forwards to this port: its requests come over loopback.",
    ),
    setting(
        "internal.hosts",
        Shape::Hosts,
        "",
        "Which names may stand in Host on the internal port, beside IP addresses and localhost.",
    ),
    setting(
        "internal.stall_after",
        Shape::Duration { min: MIN_STALL, max: MAX_WAIT },
        "1s",
        "How long a worker may be stuck in one poll of a task, or the runtime come to nothing new, before that is a \
         stall: logged with the code's name, and kept at /debug/stalls. Less than internal.stall_limit.",
    ),
    setting(
        "internal.stall_limit",
        Shape::Duration { min: SECOND, max: MAX_WAIT },
        "10s",
        "How long the runtime may be stuck before /health/live fails on the internal port.",
    ),
    setting(
        "internal.heap_sampling",
        Shape::Flag,
        "true",
        "Whether allocations are sampled from the start, for heap profiles; /debug/heap switches it at any time.",
    ),
    setting(
        "internal.console",
        Shape::Flag,
        "false",
        "Whether tokio-console is on from the start: it then knows of tasks that live as long as the service, at the \
         price of recording all the time. Otherwise its first client switches it on.",
    ),
    Setting {
        name: "store.url",
        variable: Some("DATABASE_URL"),
        shape: Shape::Url(&["sqlite", "postgres", "postgresql"]),
        default: "sqlite://data/glasshouse.db?mode=rwc",
        meaning: "The database: sqlite://path?mode=rwc or postgres://user:password@host:port/database. \
                  Production wants it named.",
    },
    Setting {
        name: "store.url_file",
        variable: Some("DATABASE_URL_FILE"),
        shape: Shape::Path,
        default: "",
        meaning: "A file with the URL, such as a container's secret, instead of DATABASE_URL.",
    },
    whole("store.max_connections", (1, 1000), "10", "The most connections to the database at once."),
    wait("store.acquire_timeout", "5s", "How long a call waits for a connection."),
    setting(
        "store.idle_timeout",
        Shape::Duration { min: SECOND, max: DAY },
        "10m",
        "When a connection that nobody uses is closed.",
    ),
    setting(
        "store.max_lifetime",
        Shape::Duration { min: SECOND, max: DAY },
        "30m",
        "When a connection is replaced, however busy it is.",
    ),
    wait(
        "store.statement_timeout",
        "5s",
        "How long one statement may run: statement_timeout on PostgreSQL, waiting for the write lock on SQLite.",
    ),
    wait(
        "store.ping_timeout",
        "1s",
        "How long the readiness check waits for the database, and so does a call that probes whether it is back.",
    ),
    setting(
        "store.pooler",
        Shape::Flag,
        "false",
        "Whether PgBouncer in transaction mode, or its like, is in front of PostgreSQL. Nothing is prepared under a name \
         then, and each statement has a transaction of its own; store.migrate must be false.",
    ),
    setting(
        "store.migrate",
        Shape::Flag,
        "true",
        "Whether migrations run at start; otherwise `glasshouse migrate up` runs them.",
    ),
    setting(
        "auth.issuer",
        Shape::Text,
        "glasshouse",
        "`iss` of access tokens. As the public https URL of this service, it is also where libraries find the keys: \
         /.well-known/oauth-authorization-server and /.well-known/openid-configuration then name them. Tokens with \
         another issuer are refused, so a change ends all access tokens, and clients refresh.",
    ),
    setting("auth.audience", Shape::Text, "glasshouse", "`aud` of access tokens."),
    setting(
        "auth.signing_algorithm",
        Shape::Choice(&["EdDSA", "ES256"]),
        "EdDSA",
        "The algorithm that signs access tokens: Ed25519, or ECDSA with P-256 for libraries that do not know Ed25519. The \
         signing key must be of its kind.",
    ),
    setting(
        "auth.signing_key_file",
        Shape::Path,
        "data/signing-key.pem",
        "The key that signs access tokens, as PKCS#8 PEM, readable by its owner only. Where it is missing, \
         development makes it at first start; production wants it named and there.",
    ),
    setting("auth.signing_key", Shape::Pem, "", "The same key itself, as PEM, instead of a file."),
    setting(
        "auth.verification_key_files",
        Shape::Paths,
        "",
        "Public keys of either algorithm, as PEM, that are accepted beside the signing key's own: those before and after it in a \
         rotation.",
    ),
    setting(
        "auth.access_token_lifetime",
        Shape::Duration { min: SECOND, max: DAY },
        "15m",
        "How long an access token is valid.",
    ),
    setting(
        "auth.refresh_token_lifetime",
        Shape::Duration { min: SECOND, max: Duration::from_hours(366 * 24) },
        "30d",
        "How long a refresh token is valid; each use begins anew.",
    ),
    setting(
        "auth.refresh_reuse_interval",
        Shape::Duration { min: Duration::ZERO, max: MAX_WAIT },
        "10s",
        "How long after its exchange a refresh token is exchanged again, for the same next token: for clients that lose \
         an answer or refresh twice at once. A later use ends the session. 0s: every second use does.",
    ),
    whole(
        "auth.max_sessions",
        (1, 10_000),
        "100",
        "How many sessions one account has at once; signing in once more ends the oldest.",
    ),
    setting(
        "auth.recent_sign_in",
        Shape::Duration { min: Duration::ZERO, max: DAY },
        "15m",
        "How old the sign-in of a session may be for changing an e-mail address or a role, or removing an account; later \
         the answer is 401 recent_sign_in_required. 0s: any age will do.",
    ),
    setting(
        "auth.clock_skew",
        Shape::Duration { min: Duration::ZERO, max: Duration::from_mins(5) },
        "30s",
        "How far the clocks of instances may differ: an access token is accepted this much before its nbf and iat, and \
         never after its exp.",
    ),
    whole(
        "auth.password_workers",
        (0, 256),
        "0",
        "How many passwords are hashed at once, each with a core and 19 MiB for about 30 ms; 0 takes one for each core \
         but one, which is left to the other requests.",
    ),
    setting(
        "audit.retention",
        Shape::Duration { min: DAY, max: Duration::from_hours(3660 * 24) },
        "365d",
        "How long it is kept what admins did to whom; older entries are removed.",
    ),
    setting(
        "log.filter",
        Shape::Filter,
        "info",
        "Which events are logged: a level, or levels by target such as info,glasshouse=debug.",
    ),
    setting(
        "log.format",
        Shape::Choice(&["auto", "json", "pretty"]),
        "auto",
        "How lines look; auto is pretty on a terminal and JSON elsewhere.",
    ),
    whole(
        "log.queue",
        (16, 1_000_000),
        "8192",
        "How many lines wait for the writer; beyond it they are dropped and counted.",
    ),
    setting(
        "telemetry.trust_remote_sampling",
        Shape::Flag,
        "false",
        "Whether a caller's sampling decision is believed. Not where strangers call.",
    ),
    setting(
        "telemetry.force_trace_token",
        Shape::Token,
        "",
        "Whoever sends this as X-Force-Trace has that one request traced.",
    ),
    setting(
        "telemetry.force_trace_token_file",
        Shape::Path,
        "",
        "A file with the token instead of telemetry.force_trace_token.",
    ),
    whole(
        "telemetry.max_series",
        (10, 100_000),
        "1000",
        "How many series one metric may have; beyond it label values fold into _overflow.",
    ),
    setting(
        "telemetry.native_histograms",
        Shape::Flag,
        "false",
        "Whether scrapers that accept Prometheus' protobuf format get native histograms beside the classic ones. \
         Prometheus then keeps the classic ones, which dashboards and alerts here read, only with \
         always_scrape_classic_histograms.",
    ),
    setting(
        "faults.allowed",
        Shape::Flag,
        "false",
        "Whether faults can be injected by PUT /debug/faults on the internal port, to rehearse for real ones. \
         Production refuses it.",
    ),
    budget(
        "shutdown.notice",
        "1s",
        "How long new requests are still accepted after not being ready any more: until the balancer has noticed. \
         The four budgets together stay under 30 s, the orchestrators' default.",
    ),
    budget("shutdown.grace", "20s", "How long requests under way may take to finish."),
    budget("shutdown.store", "2s", "How long closing the database may take."),
    budget("shutdown.flush", "4s", "How long sending the last spans and logs may take."),
];
