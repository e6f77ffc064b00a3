//! The layer that hands on what tokio tells, and the filter in front of it.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use console_subscriber::ConsoleLayer;
use tracing::{
    Event, Metadata, Subscriber,
    level_filters::LevelFilter,
    span::{Attributes, Id},
    subscriber::Interest,
};
use tracing_subscriber::{
    Layer,
    layer::{Context, Filter},
    registry::LookupSpan,
};

use super::{
    IS_UNSEEN,
    bounds::Kind,
    recorder::{Recorder, Shared},
};

impl Recorder {
    /// What has to be registered once, and costs nothing while nothing is recorded.
    pub(in crate::telemetry) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        Tap(Arc::clone(&self.0)).with_filter(WhileRecording(Arc::clone(&self.0)))
    }
}

/// Refuses everything while nothing is recorded. Callsites remember that, until the recorder has them ask again.
struct WhileRecording(Arc<Shared>);

impl<S> Filter<S> for WhileRecording {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        // A thread that is left out may hold and wake the wakers of recorded tasks, and a task that seems to have lost
        // them is shown as one that never runs again.
        self.0.on.load(Relaxed)
            && Kind::of(metadata)
                .is_some_and(|kind| (kind == Kind::Change || !IS_UNSEEN.get()) && self.0.bounds.admit(kind))
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        // Never `always`: whether there is room is asked each time.
        if self.0.on.load(Relaxed) && Kind::of(metadata).is_some() { Interest::sometimes() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(if self.0.on.load(Relaxed) { LevelFilter::TRACE } else { LevelFilter::OFF })
    }
}

/// Hands everything to the recording that is under way.
struct Tap(Arc<Shared>);

impl Tap {
    /// A reference of one's own: what console-subscriber does in here may lead to another event, and a lock that is
    /// held meanwhile would be waited for by its own holder.
    fn console(&self) -> Option<Arc<ConsoleLayer>> {
        self.0.console()
    }
}

impl<S> Layer<S> for Tap
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if let Some(console) = self.console() {
            Layer::<S>::register_callsite(&*console, metadata);
        }
        Interest::sometimes()
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(kind) = Kind::of(attributes.metadata()) {
            self.0.bounds.opened(kind);
        }
        if let Some(console) = self.console() {
            console.on_new_span(attributes, id, context);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if let Some(console) = self.console() {
            console.on_event(event, context);
        }
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        if let Some(console) = self.console() {
            console.on_enter(id, context);
        }
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        if let Some(console) = self.console() {
            console.on_exit(id, context);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        if let Some(kind) = context.metadata(&id).and_then(Kind::of) {
            self.0.bounds.closed(kind);
        }
        // Also where a later recording is under way: a task that is told to have ended does not stay for ever.
        if let Some(console) = self.console() {
            console.on_close(id, context);
        }
    }
}
