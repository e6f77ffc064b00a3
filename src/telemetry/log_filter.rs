//! Which events are logged; can be changed while the process runs.

use std::{fmt, sync::Arc};

use tracing_subscriber::{
    EnvFilter, Registry,
    filter::{FilterExt, filter_fn},
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
    let quiet = if directives.contains("opentelemetry") { "" } else { ",opentelemetry=off" };
    EnvFilter::builder().parse(format!("{directives}{quiet}")).map_err(|error| error.to_string())
}

fn parse_exported(directives: &str) -> Result<EnvFilter, String> {
    parse(&format!("{directives},{NEVER_EXPORTED}"))
}

impl fmt::Debug for LogFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogFilter({})", self.get())
    }
}
