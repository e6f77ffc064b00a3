//! Which events are logged; can be changed while the process runs.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use tracing::{Level, Metadata};
use tracing_subscriber::{
    EnvFilter, Registry,
    filter::{FilterExt, LevelFilter, filter_fn},
    layer::Filter,
    reload::{self, Handle},
};

use super::{Gauge, Metrics, catalog};

/// What exporting itself says is never exported, or one record would lead to the next.
const NEVER_EXPORTED: &[&str] = &["opentelemetry", "glasshouse::telemetry", "tonic", "h2", "hyper", "tower", "reqwest"];
/// The exporters' own complaints, several a second while a collector is away: off unless a filter names them.
const EXPORTERS: &str = "opentelemetry";
/// The lines of the audit trail.
const AUDIT: &str = "glasshouse::audit";

/// Reads and changes the filter of a running process. Cheap to clone.
#[derive(Clone)]
pub struct LogFilter(Arc<Handles>);

struct Handles {
    /// The directives that the settings say.
    configured: String,
    /// Whether others are in force. Then warnings, errors and the audit trail are logged in any case.
    changed: Arc<AtomicBool>,
    gauge: Gauge,
    written: Handle<EnvFilter, Registry>,
    /// Absent where no log is exported.
    exported: Option<Handle<EnvFilter, Registry>>,
}

impl LogFilter {
    /// The handle, a filter for the lines that are written, and one for the records that are exported, if any are.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub(super) fn new(
        directives: &str,
        exports: bool,
        metrics: &Metrics,
    ) -> Result<(Self, impl Filter<Registry> + use<>, Option<impl Filter<Registry> + use<>>), String> {
        let (written, written_handle) = reload::Layer::new(parse(directives)?);
        let (exported, exported_handle) =
            exports.then(|| parse_exported(directives).map(reload::Layer::new)).transpose()?.unzip();
        // Neither the log nor the bridge to OpenTelemetry reads spans; without this they would be built for both.
        #[expect(
            clippy::redundant_closure_for_method_calls,
            reason = "the method alone is not general enough for `Fn`"
        )]
        let events = || filter_fn(|metadata| metadata.is_event());
        let gauge = metrics.gauge(&catalog::LOG_FILTER_CHANGED);
        gauge.set(&[], 0.0);
        let changed = Arc::new(AtomicBool::new(false));
        let written = written.or(floor(&changed, &[EXPORTERS])).and(events());
        let exported = exported.map(|exported| exported.or(floor(&changed, NEVER_EXPORTED)).and(events()));
        let configured = directives.to_owned();
        let handles = Handles { configured, changed, gauge, written: written_handle, exported: exported_handle };
        Ok((Self(Arc::new(handles)), written, exported))
    }

    /// The directives in force.
    #[must_use]
    pub fn get(&self) -> String {
        self.0.written.with_current(ToString::to_string).unwrap_or_default()
    }

    /// Puts other directives in force, at once, for lines and for exported records. While they are in force, warnings,
    /// errors and the audit trail are logged whatever they say.
    ///
    /// # Errors
    /// What is wrong with them; then nothing has changed.
    pub fn set(&self, directives: &str) -> Result<(), String> {
        self.replace(directives, directives != self.0.configured)
    }

    /// Puts the directives of the settings in force again.
    ///
    /// # Errors
    /// When the log has ended.
    pub fn restore(&self) -> Result<(), String> {
        self.replace(&self.0.configured, false)
    }

    fn replace(&self, directives: &str, changed: bool) -> Result<(), String> {
        let (written, exported) = (parse(directives)?, parse_exported(directives)?);
        // Before the filters are replaced, which has every callsite ask again.
        self.0.changed.store(changed, SeqCst);
        self.0.gauge.set(&[], f64::from(u8::from(changed)));
        self.0.written.reload(written).map_err(|error| error.to_string())?;
        match &self.0.exported {
            Some(handle) => handle.reload(exported).map_err(|error| error.to_string()),
            None => Ok(()),
        }
    }

    /// What is wrong with such a text, if anything is.
    #[must_use]
    pub fn fault(directives: &str) -> Option<String> {
        parse(directives).err()
    }
}

/// Lets warnings, errors and the audit trail through while the filter is `changed`, except of the targets `without`.
fn floor(changed: &Arc<AtomicBool>, without: &'static [&'static str]) -> impl Filter<Registry> + use<> {
    let changed = Arc::clone(changed);
    let is_kept = move |metadata: &Metadata<'_>| {
        let target = metadata.target();
        let level = *metadata.level();
        changed.load(SeqCst)
            && metadata.is_event()
            && (level <= Level::WARN || target == AUDIT)
            && !without.iter().any(|without| target.starts_with(without))
    };
    filter_fn(is_kept).with_max_level_hint(LevelFilter::INFO)
}

/// `EnvFilter`'s grammar, without regular expressions: they can take minutes to build, and a value that is compared as
/// text is enough.
fn parse(directives: &str) -> Result<EnvFilter, String> {
    check(directives)?;
    // `EnvFilter` misreads a directive with a space before it.
    let directives = directives.split(',').map(str::trim).collect::<Vec<_>>().join(",");
    let quiet = if directives.contains(EXPORTERS) { String::new() } else { format!(",{EXPORTERS}=off") };
    let builder = EnvFilter::builder().with_regex(false);
    builder.parse(format!("{directives}{quiet}")).map_err(|error| error.to_string())
}

/// The words for a level.
const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

/// What the targets of this service begin with.
const OWN: &str = env!("CARGO_CRATE_NAME");

/// The most characters of a directive that an error repeats.
const MAX_CHARS: usize = 64;

/// Refuses what `EnvFilter` takes for the name of a target, although a level was meant: every other target is then off,
/// and the log is silent. For the same reason a filter names a level for this service's own lines, which may be `off`.
fn check(directives: &str) -> Result<(), String> {
    let mut is_decided = false;
    for directive in directives.split(',').map(str::trim).filter(|directive| !directive.is_empty()) {
        let (target, level) = directive.rsplit_once('=').map_or((None, directive), |(it, level)| (Some(it), level));
        // `[span]` and `[{field}]` are left to `EnvFilter`.
        if directive.contains('[') {
            is_decided |= directive.starts_with('[');
            continue;
        }
        if level.is_empty() || level.parse::<LevelFilter>().is_err() {
            let quoted = format!("{:?}", directive.chars().take(MAX_CHARS).collect::<String>());
            return Err(match (nearest(level), target) {
                (Some(near), _) => format!("{quoted} names no level; did you mean {near}?"),
                (None, Some(_)) => format!("{quoted} names no level; the levels are {}", LEVELS.join(", ")),
                (None, None) => format!(
                    "{quoted} is no level; the levels are {}, and a target has one too, such as {OWN}=debug",
                    LEVELS.join(", ")
                ),
            });
        }
        is_decided |= target.is_none_or(|target| OWN.starts_with(target) || target.starts_with(OWN));
    }
    if is_decided {
        return Ok(());
    }
    Err(format!("no line of this service would be logged; name a level for it too, such as info or {OWN}=info"))
}

/// The level that was meant.
fn nearest(written: &str) -> Option<&'static str> {
    let written = written.to_ascii_lowercase();
    let is_prefix = |level: &&str| written.len() > 2 && (written.starts_with(*level) || level.starts_with(&*written));
    let distance = |level: &&'static str| (strsim::osa_distance(&written, level), *level);
    // The time for a distance is in proportion to both lengths.
    let near = || LEVELS.iter().filter(|level| written.len() <= level.len() + 2).map(distance).min();
    LEVELS.iter().copied().find(is_prefix).or_else(|| near().filter(|(edits, _)| *edits <= 2).map(|(_, level)| level))
}

fn parse_exported(directives: &str) -> Result<EnvFilter, String> {
    parse(&format!("{directives},{}=off", NEVER_EXPORTED.join("=off,")))
}

impl fmt::Debug for LogFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogFilter({})", self.get())
    }
}

#[cfg(test)]
mod tests {
    use super::LogFilter;

    #[test]
    fn log_filter_accepts_levels_and_levels_by_target() {
        for text in [
            "info",
            "WARN",
            "off",
            "info,glasshouse=debug",
            "glasshouse=debug",
            "glasshouse::http=trace",
            "info, sqlx=warn,",
            "off,sqlx=debug",
            "info,[request{user=ann}]=debug",
            "[{error.type}]=debug",
            "opentelemetry=off,info",
        ] {
            assert_eq!(LogFilter::fault(text), None, "{text}");
        }
    }

    #[test]
    fn log_filter_refuses_text_that_is_no_level_with_a_suggestion() {
        for (text, expected) in [
            ("warning", "\"warning\" names no level; did you mean warn?"),
            ("inof", "did you mean info?"),
            ("INFOS", "did you mean info?"),
            ("err", "did you mean error?"),
            ("glasshouse=warning", "\"glasshouse=warning\" names no level; did you mean warn?"),
            ("info,glasshouse=", "the levels are error, warn, info, debug, trace, off"),
            ("info,glasshouse", "such as glasshouse=debug"),
            ("verbose", "is no level; the levels are"),
            ("glashouse=debug", "no line of this service would be logged"),
            ("sqlx=debug", "such as info or glasshouse=info"),
            ("", "no line of this service"),
            ("in\nfo", "\"in\\nfo\" names no level"),
        ] {
            let said = LogFilter::fault(text).unwrap_or_else(|| panic!("{text} is accepted"));
            assert!(said.contains(expected), "{text}: {said}");
        }
        let said = LogFilter::fault(&"x".repeat(100_000)).expect("it is no level");
        assert!(said.len() < 300, "{said}");
    }
}
