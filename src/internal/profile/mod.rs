//! Profiles of any kind: stacks with numbers, and the forms in which people and programs want them.
//!
//! Whoever measures makes a [`Profile`] and knows nothing of formats; a format knows nothing of what was measured.

mod flamegraph;
mod format;
mod text;

use std::time::{Duration, SystemTime};

use crate::telemetry::symbols::{Frame, Location, Mapping};

/// Stacks with what was measured at each.
#[derive(Debug)]
pub(super) struct Profile {
    /// What the numbers of a sample are, in their order.
    pub(super) measures: Vec<Measure>,
    /// Which of them people are shown, by its place.
    pub(super) shown: usize,
    /// How much of what lies between two samples, where they were taken at intervals.
    pub(super) period: Option<(Measure, i64)>,
    pub(super) began: SystemTime,
    pub(super) took: Duration,
    pub(super) samples: Vec<Sample>,
    /// The mappings of code that contain the samples' addresses.
    pub(super) mappings: Vec<Mapping>,
    /// What the reader has to know, such as what is missing and why, a sentence each.
    pub(super) remarks: Vec<String>,
}

/// A kind of number, in Go's words: `cpu` in `nanoseconds`, `inuse_space` in `bytes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Measure {
    pub(super) name: &'static str,
    pub(super) unit: &'static str,
}

/// One stack, and what was measured there.
#[derive(Debug)]
pub(super) struct Sample {
    /// From the innermost function outwards.
    pub(super) stack: Vec<Location>,
    /// One for each measure.
    pub(super) values: Vec<i64>,
    /// Such as the thread's name.
    pub(super) labels: Vec<(&'static str, String)>,
}

impl Sample {
    /// Every frame of the stack, from the innermost outwards, what was inlined among them.
    fn frames(&self) -> impl DoubleEndedIterator<Item = &Frame> {
        self.stack.iter().flat_map(|location| location.frames.iter().map(AsRef::as_ref))
    }
}

impl Profile {
    /// The measure that people are shown, in its unit; `samples` where there is none.
    fn unit(&self) -> &'static str {
        self.measures.get(self.shown).map_or("samples", |measure| measure.unit)
    }

    /// How much of the measure that people are shown.
    fn weight(&self, sample: &Sample) -> i64 {
        sample.values.get(self.shown).copied().unwrap_or_default()
    }

    /// `profile.proto` in gzip, which every pprof tool reads.
    pub(super) fn pprof(&self) -> Vec<u8> {
        format::encode(self)
    }

    /// A flamegraph of the measure that is shown, with search and zoom; it needs nothing from the network.
    ///
    /// # Errors
    /// When it cannot be drawn, in words.
    pub(super) fn svg(&self, title: &str) -> Result<Vec<u8>, String> {
        flamegraph::svg(self, title)
    }

    /// For a terminal: the functions that the measure which is shown is largest in, and the heaviest stacks.
    pub(super) fn text(&self, title: &str) -> String {
        text::text(self, title)
    }
}
