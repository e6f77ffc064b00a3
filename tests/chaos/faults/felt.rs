//! What clients and probes felt of a fault.

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};

use super::{
    fault::{Fault, Readiness},
    scene::LONGEST,
};
use crate::clients::Answer;

/// With what clients are told that something is wrong, and with nothing else: status and stable word.
const TOLD: [(u16, &str); 4] =
    [(503, "store_unavailable"), (503, "overloaded"), (503, "hashing_overloaded"), (504, "timeout")];

/// How soon all is well again after a fault has ended, however busy the machine is with other tests.
const SOON: Duration = Duration::from_secs(15);

/// What was felt between the blow and the moment when all was well again.
pub(super) struct Felt {
    pub(super) name: String,
    /// What went wrong, and how often.
    failures: BTreeMap<(u16, String), usize>,
    fine: usize,
    broken: usize,
    longest: Duration,
    without_retry_after: usize,
    /// From the end of the fault to the last failure and to being ready.
    pub(super) well_after: Duration,
    /// What the probes said: live and ready.
    pub(super) probes: Vec<(Option<u16>, Option<u16>)>,
}

impl Felt {
    pub(super) fn new(name: &str, answers: &[Answer], struck: Instant, mended: Instant, ready: Instant) -> Self {
        let during = || answers.iter().filter(|answer| answer.began + answer.took >= struck);
        let is_failure = |answer: &&Answer| answer.status.is_none_or(|status| status >= 500);
        let mut failures = BTreeMap::new();
        for answer in during().filter(is_failure) {
            if let Some(status) = answer.status {
                *failures.entry((status, answer.code.clone())).or_default() += 1;
            }
        }
        let last = during().filter(is_failure).map(|answer| answer.began + answer.took).max().unwrap_or(struck);
        Self {
            name: name.to_owned(),
            failures,
            fine: during().filter(|answer| !is_failure(answer)).count(),
            broken: during().filter(|answer| answer.status.is_none()).count(),
            longest: during().map(|answer| answer.took).max().unwrap_or_default(),
            without_retry_after: during().filter(|it| it.status == Some(503) && !it.has_retry_after).count(),
            well_after: last.max(ready).saturating_duration_since(mended),
            probes: Vec::new(),
        }
    }

    /// What of it must not be.
    pub(super) fn faults(&self, fault: &Fault) -> Vec<String> {
        let mut faults = Vec::new();
        for ((status, code), count) in &self.failures {
            if !TOLD.contains(&(*status, code)) {
                faults.push(format!("{count} clients were told {status} {code}"));
            }
        }
        // A blow that is over at once may hit nobody: what only reads is tried again.
        if self.failures.is_empty() && fault.lasts > Duration::ZERO {
            faults.push("nobody felt anything".to_owned());
        }
        if self.broken > 0 {
            faults.push(format!("{} clients had no answer", self.broken));
        }
        if self.without_retry_after > 0 {
            faults.push(format!("{} clients were not told when to come back", self.without_retry_after));
        }
        if self.longest > LONGEST {
            faults.push(format!("an answer took {:?}", self.longest));
        }
        if self.well_after > SOON {
            faults.push(format!("it was well {:?} after the end", self.well_after));
        }
        if self.probes.iter().any(|(live, _)| *live != Some(200)) {
            faults.push(format!("it seemed dead: {:?}", self.probes));
        }
        if fault.readiness == Readiness::Lost && !self.probes.iter().any(|(_, ready)| *ready == Some(503)) {
            faults.push(format!("it seemed ready all the time: {:?}", self.probes));
        }
        faults
    }
}

/// A line of the table that the runbook shows.
impl fmt::Display for Felt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failures: Vec<_> =
            self.failures.iter().map(|((status, code), count)| format!("{count} × {status} {code}")).collect();
        let lost = self.probes.iter().filter(|(_, ready)| *ready == Some(503)).count();
        write!(
            f,
            "| {} | {} fine, {} | {lost} of {} | {:.1} s | {:.1} s |",
            self.name,
            self.fine,
            failures.join(", "),
            self.probes.len(),
            self.longest.as_secs_f64(),
            self.well_after.as_secs_f64()
        )
    }
}
