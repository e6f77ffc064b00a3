//! The settings: defaults, file, environment; every fault is reported at once.
//!
//! One list (`setting`) says what there is. Reading, refusing what nobody knows, printing and the reference are all
//! made from it; only `mod.rs` knows which setting goes to which component.

mod credentials;
mod database_url;
mod environment;
mod faults;
mod file;
mod hint;
mod keys;
mod near;
mod otel;
mod pairs;
mod print;
mod redact;
mod reference;
mod rules;
mod secret_file;
mod setting;
mod settings;
mod shape;
mod sources;
#[cfg(test)]
mod tests;
mod values;

use std::{
    fmt, io,
    path::{Path, PathBuf},
    thread,
};

pub use faults::{Fault, Faults};
pub use reference::reference;
pub use sources::{Origin, Sources};

use crate::{
    domain::{audit, auth},
    http, internal, lifecycle, store,
    telemetry::{self, LogFormat},
};
use file::Contents;
use values::Values;

/// The variable that names the file.
const CONFIG_VARIABLE: &str = "GLASSHOUSE_CONFIG";

/// What the service is run for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environment {
    /// Trying things out: what is missing is made up, and said in one warning.
    Development,
    /// For others to rely on: what is missing is refused.
    Production,
}

/// Every setting, checked.
#[derive(Clone)]
pub struct Settings {
    /// What the service is run for.
    pub environment: Environment,
    /// How many threads serve requests; at least one.
    pub runtime_workers: usize,
    /// The public port.
    pub http: http::Config,
    /// How often clients may ask.
    pub limits: http::limits::Config,
    /// The internal port.
    pub internal: internal::Config,
    /// The store.
    pub store: store::Config,
    /// Signing in.
    pub auth: auth::Config,
    /// What admins did.
    pub audit: audit::Config,
    /// Logs, traces and metrics.
    pub telemetry: telemetry::Config,
    /// What may go wrong on purpose.
    pub faults: crate::faults::Config,
    /// Stopping.
    pub shutdown: lifecycle::Config,
    /// What whoever runs the service should know; to be logged once there is a log.
    pub warnings: Vec<String>,
    new_signing_key: Option<PathBuf>,
    values: Values,
}

/// Reads and checks every setting. Changes nothing: a signing key that development makes is only held in memory until
/// [`Settings::keep_signing_key`].
///
/// # Errors
/// Everything that is wrong, at once; no secret is in it.
pub fn load(sources: &Sources) -> Result<Settings, Faults> {
    let mut faults = Faults::none();
    let variables = environment::read(&sources.environment, &mut faults);
    let named = match (&sources.file, variables.get(CONFIG_VARIABLE)) {
        (Some(path), _) => Some((path.clone(), Origin::CommandLine)),
        (None, Some(path)) => Some((PathBuf::from(path), Origin::Variable(CONFIG_VARIABLE.to_owned()))),
        (None, None) => None,
    };
    let text = named.and_then(|(path, origin)| match file::text(&path) {
        Ok(text) => Some((path, text)),
        Err(error) => {
            faults.add(Fault {
                setting: "config".to_owned(),
                origin,
                read: Some(redact::quoted(&path.to_string_lossy())),
                accepted: format!("a file of settings that can be read; {error}"),
            });
            None
        }
    });
    let contents = text.as_ref().map(|(path, text)| Contents::parse(path, text, &mut faults));
    if let Some(contents) = &contents {
        contents.refuse_unknown(&mut faults);
    }
    let mut values = Values::read(contents.as_ref(), &variables, &mut faults);

    let environment = match values.text("environment") {
        "production" => Environment::Production,
        _ => Environment::Development,
    };
    let exposed = secret_file::read_all(&mut values, environment, &mut faults);
    rules::check(&values, environment, &mut faults);
    let store = store(&values);
    database_url::check(&store, &values, &sources.environment, &mut faults);
    let mut telemetry = telemetry(&values, environment::allows_color(&sources.environment), &mut faults);
    let Some(keys) = keys::read(&values, environment, &mut faults) else { return Err(faults) };
    let batched = [&telemetry.traces, &telemetry.logs].into_iter().flatten().map(|batched| &batched.export);
    let exports = batched.chain(telemetry.metrics.as_ref().map(|metrics| &metrics.export));
    let client_keys = exports.filter_map(|export| Some(&export.tls.identity.as_ref()?.1));
    telemetry.secrets = credentials::secrets(&values, &client_keys.chain([&keys.signing]).collect::<Vec<_>>());

    let defaulted = rules::defaulted(&values, environment, keys.new.as_deref());
    let warnings = [
        defaulted,
        keys.warning,
        otel::without_effect(&values, &variables),
        environment::rust_log(&sources.environment),
        rules::cut_short(&values),
        rules::unlimited(&values, environment),
    ];
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let workers = |name: &str| match values.whole(name) {
        0 => cores,
        workers => workers,
    };
    let settings = Settings {
        environment,
        runtime_workers: workers("runtime.workers"),
        http: http(&values),
        limits: limits(&values),
        internal: internal(&values),
        store,
        auth: auth::Config {
            issuer: values.text("auth.issuer").to_owned(),
            audience: values.text("auth.audience").to_owned(),
            signing_key: keys.signing,
            verification_keys: keys.verifying,
            clock_skew: values.duration("auth.clock_skew"),
            recent_sign_in: values.duration("auth.recent_sign_in"),
            max_sessions: values.whole("auth.max_sessions"),
            access_token_lifetime: values.duration("auth.access_token_lifetime"),
            refresh_token_lifetime: values.duration("auth.refresh_token_lifetime"),
            refresh_reuse_interval: values.duration("auth.refresh_reuse_interval"),
            password_workers: match values.whole("auth.password_workers") {
                0 => (cores - 1).max(1),
                workers => workers,
            },
            password_wait: values.duration("shed.max_wait") * http::PASSWORD_BURST_FACTOR,
        },
        audit: audit::Config { retention: values.duration("audit.retention") },
        telemetry,
        faults: crate::faults::Config { allowed: values.flag("faults.allowed") },
        shutdown: lifecycle::Config {
            notice: values.duration("shutdown.notice"),
            grace: values.duration("shutdown.grace"),
            store: values.duration("shutdown.store"),
            flush: values.duration("shutdown.flush"),
        },
        warnings: warnings.into_iter().flatten().chain(exposed).collect(),
        new_signing_key: keys.new,
        values,
    };
    faults.or(settings)
}

/// Nothing of what they hold: a URL among them may have a password in it. [`Settings::print`] shows them.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Settings(…)")
    }
}

impl Settings {
    /// Keeps a signing key that was made by [`load`] where the settings say, so that tokens outlive this process; the
    /// key of another process is taken over if that was faster. Does nothing where there is a key already.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn keep_signing_key(&mut self) -> io::Result<()> {
        if let Some(path) = &self.new_signing_key {
            self.auth.signing_key = keys::keep(path, &self.auth.signing_key)?;
            self.new_signing_key = None;
        }
        Ok(())
    }

    /// Where [`Settings::keep_signing_key`] would make a file.
    #[must_use]
    pub fn new_signing_key(&self) -> Option<&Path> {
        self.new_signing_key.as_deref()
    }

    /// The settings in effect as TOML, each with its origin, without secrets.
    #[must_use]
    pub fn print(&self) -> String {
        print::toml(&self.values)
    }

    /// The same as JSON: `{"http.listen": {"value": …, "origin": "default"}}`.
    #[must_use]
    pub fn redacted(&self) -> serde_json::Value {
        print::json(&self.values)
    }
}

fn http(values: &Values) -> http::Config {
    http::Config {
        listen: values.address("http.listen"),
        trusted_proxies: values.networks("http.trusted_proxies"),
        cors_origins: values.texts("http.cors_origins").to_vec(),
        max_connections: values.whole("http.max_connections"),
        header_timeout: values.duration("http.header_timeout"),
        request_timeout: values.duration("http.request_timeout"),
        max_body_bytes: values.whole("http.max_body_bytes"),
        server_timing: values.flag("http.server_timing"),
        slow: values.duration("http.slow"),
        max_wait: values.duration("shed.max_wait"),
    }
}

fn limits(values: &Values) -> http::limits::Config {
    http::limits::Config {
        enabled: values.flag("limits.enabled"),
        address_rate: values.whole("limits.address_rate"),
        address_burst: values.whole("limits.address_burst"),
        sign_in_rate: values.whole("limits.sign_in_rate"),
        sign_in_burst: values.whole("limits.sign_in_burst"),
        max_clients: values.whole("limits.max_clients"),
    }
}

fn internal(values: &Values) -> internal::Config {
    internal::Config {
        listen: values.address("internal.listen"),
        token: values.secret("internal.token"),
        require_token_on_loopback: values.flag("internal.require_token_on_loopback"),
        hosts: values.texts("internal.hosts").to_vec(),
        stall_after: values.duration("internal.stall_after"),
        stall_limit: values.duration("internal.stall_limit"),
        heap_sampling: values.flag("internal.heap_sampling"),
        console: values.flag("internal.console"),
    }
}

fn store(values: &Values) -> store::Config {
    store::Config {
        url: values.url("store.url"),
        max_connections: values.whole("store.max_connections"),
        acquire_timeout: values.duration("store.acquire_timeout"),
        idle_timeout: values.duration("store.idle_timeout"),
        max_lifetime: values.duration("store.max_lifetime"),
        statement_timeout: values.duration("store.statement_timeout"),
        ping_timeout: values.duration("store.ping_timeout"),
        pooler: values.flag("store.pooler"),
        migrate: values.flag("store.migrate"),
    }
}

fn telemetry(values: &Values, log_color: bool, faults: &mut Faults) -> telemetry::Config {
    let (service_name, resource) = otel::resource(values);
    telemetry::Config {
        service_name,
        resource,
        recording: !values.flag("OTEL_SDK_DISABLED"),
        log_filter: values.text("log.filter").to_owned(),
        log_format: match values.text("log.format") {
            "json" => LogFormat::Json,
            "pretty" => LogFormat::Pretty,
            _ => LogFormat::Auto,
        },
        log_color,
        log_queue: values.whole("log.queue"),
        traces: otel::traces(values, faults),
        logs: otel::logs(values, faults),
        metrics: otel::metrics(values, faults),
        sampler: otel::sampler(values),
        trust_remote_sampling: values.flag("telemetry.trust_remote_sampling"),
        force_trace_token: values.secret("telemetry.force_trace_token"),
        max_series: values.whole("telemetry.max_series"),
        native_histograms: values.flag("telemetry.native_histograms"),
        secrets: Vec::new(),
    }
}
