//! Which events are logged; can be changed while the process runs.

use std::{fmt, sync::Arc};

use tracing_subscriber::{
    EnvFilter, Registry,
    filter::{FilterExt, LevelFilter, filter_fn},
    layer::Filter,
    reload::{self, Handle},
};

/// What exporting itself says is never exported, or one record would lead to the next.
const NEVER_EXPORTED: &str =
    "opentelemetry=off,glasshouse::telemetry=off,tonic=off,h2=off,hyper=off,tower=off,reqwest=off";

/// Reads and changes the filter of a running process. Cheap to clone.
#[derive(Clone)]
pub struct LogFilter(Arc<Handles>);

struct Handles {
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
    ) -> Result<(Self, impl Filter<Registry> + use<>, Option<impl Filter<Registry> + use<>>), String> {
        let (written, written_handle) = reload::Layer::new(parse(directives)?);
        let (exported, exported_handle) =
            exports.then(|| parse_exported(directives).map(reload::Layer::new)).transpose()?.unzip();
        // Spans are not logged; without this, a span that nobody exports would be built for the log alone.
        #[expect(
            clippy::redundant_closure_for_method_calls,
            reason = "the method alone is not general enough for `Fn`"
        )]
        let events = filter_fn(|metadata| metadata.is_event());
        let this = Self(Arc::new(Handles { written: written_handle, exported: exported_handle }));
        Ok((this, written.and(events), exported))
    }

    /// The directives in force.
    #[must_use]
    pub fn get(&self) -> String {
        self.0.written.with_current(ToString::to_string).unwrap_or_default()
    }

    /// Puts other directives in force, at once, for lines and for exported records.
    ///
    /// # Errors
    /// What is wrong with them; then nothing has changed.
    pub fn set(&self, directives: &str) -> Result<(), String> {
        let (written, exported) = (parse(directives)?, parse_exported(directives)?);
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

/// `EnvFilter`'s grammar. The exporters' own complaints are off unless they are asked for: a collector that is away
/// makes several a second, and we say so ourselves, once.
fn parse(directives: &str) -> Result<EnvFilter, String> {
    check(directives)?;
    // `EnvFilter` misreads a directive with a space before it.
    let directives = directives.split(',').map(str::trim).collect::<Vec<_>>().join(",");
    let quiet = if directives.contains("opentelemetry") { "" } else { ",opentelemetry=off" };
    EnvFilter::builder().parse(format!("{directives}{quiet}")).map_err(|error| error.to_string())
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
    parse(&format!("{directives},{NEVER_EXPORTED}"))
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
