//! Which events are logged; can be changed while the process runs.

use std::{fmt, sync::Arc};

use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter,
    filter::{FilterExt, filter_fn},
    layer::Filter,
    reload,
};

/// Reads and changes the filter of a running process. Cheap to clone.
#[derive(Clone)]
pub struct LogFilter(Arc<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>, Arc<dyn Fn() -> String + Send + Sync>);

impl LogFilter {
    /// A filter to be put before a layer, and the handle that changes it.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub(super) fn new<S>(directives: &str) -> Result<(Self, impl Filter<S> + use<S>), String>
    where
        S: Subscriber + 'static,
    {
        let (filter, handle) = reload::Layer::<EnvFilter, S>::new(parse(directives)?);
        let reader = handle.clone();
        let this = Self(
            Arc::new(move |filter| handle.reload(filter).map_err(|error| error.to_string())),
            Arc::new(move || reader.with_current(ToString::to_string).unwrap_or_default()),
        );
        // Spans are not logged; without this, a span that nobody exports would be built for the log alone.
        #[expect(
            clippy::redundant_closure_for_method_calls,
            reason = "the method alone is not general enough for `Fn`"
        )]
        let events = filter_fn(|metadata| metadata.is_event());
        Ok((this, filter.and(events)))
    }

    /// The directives in force.
    #[must_use]
    pub fn get(&self) -> String {
        (self.1)()
    }

    /// Puts other directives in force, at once.
    ///
    /// # Errors
    /// What is wrong with them; then nothing has changed.
    pub fn set(&self, directives: &str) -> Result<(), String> {
        (self.0)(parse(directives)?)
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

impl fmt::Debug for LogFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogFilter({})", self.get())
    }
}
