//! Each stall from its beginning to its end: counted, looked at, told once in the log, and kept.

use std::time::{Duration, Instant, SystemTime};

use tokio::sync::oneshot::{self, error::TryRecvError};

use super::{
    MAIN,
    capture::{OVER, Stuck, capture},
    pace::Pace,
    recent::{Recent, Stall},
    workers::{Case, Suspect},
};
use crate::{
    internal::tool,
    telemetry::{Counter, Gauge, Metrics, catalog},
};

/// How many are looked at and told in a minute: a process in which everything stalls must not be made worse.
const TOLD: usize = 10;

/// What the watcher remembers from look to look.
pub(super) struct Journal {
    /// How long something may take before it is a stall.
    after: Duration,
    /// What was suspected at the last look.
    before: Vec<Case>,
    /// As many as there are workers, one for silence, and those that ended while they were looked at.
    open: Vec<Open>,
    looking: Option<oneshot::Receiver<Vec<Vec<Stuck>>>>,
    pace: Pace,
    recent: Recent,
    stalled: Gauge,
    stalls: Counter,
    uncaptured: Counter,
}

struct Open {
    number: u64,
    began: SystemTime,
    suspect: Suspect,
    stage: Stage,
    lasted: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nobody has looked at it yet.
    New,
    /// Its stacks are being taken.
    LookedAt,
    /// It stands in the log.
    Told,
}

impl Journal {
    pub(super) fn new(after: Duration, recent: Recent, metrics: &Metrics) -> Self {
        let stalled = metrics.gauge(&catalog::TOKIO_STALLED);
        let stalls = metrics.counter(&catalog::TOKIO_STALLS);
        let uncaptured = metrics.counter(&catalog::TOKIO_STALLS_UNCAPTURED);
        stalled.set(&[MAIN], 0.0);
        stalls.add(&[MAIN], 0);
        uncaptured.add(&[MAIN], 0);
        let (before, open) = (Vec::new(), Vec::new());
        Self { after, before, open, looking: None, pace: Pace::new(TOLD), recent, stalled, stalls, uncaptured }
    }

    /// Takes notice of what is suspected now. `question` is asked, on another thread, for the one that is open then.
    pub(super) fn look<Q>(&mut self, suspects: &[Suspect], question: Q)
    where
        Q: Fn() -> Option<Instant> + Send + 'static,
    {
        let found = self.looking.as_mut().map(oneshot::Receiver::try_recv);
        if let Some(found) = found.filter(|found| !matches!(found, Err(TryRecvError::Empty))) {
            self.looking = None;
            self.tell_what_was_found(found.unwrap_or_default());
        }
        self.end_what_is_over(suspects);
        self.begin(suspects);
        self.before = suspects.iter().map(|suspect| suspect.case).collect();
        let lasts = self.open.iter().any(|open| open.lasted.is_none());
        self.stalled.set(&[MAIN], f64::from(u8::from(lasts)));
        self.look_at_new(question);
    }

    /// What was found, in the order of those that were looked at; nothing if looking itself has failed.
    fn tell_what_was_found(&mut self, found: Vec<Vec<Stuck>>) {
        let looked_at = self.open.iter().filter(|open| open.stage == Stage::LookedAt);
        let looked_at: Vec<_> = looked_at.map(|open| (open.number, open.suspect.threads.clone())).collect();
        let mut found = found.into_iter();
        for (number, threads) in looked_at {
            let failed = || threads.iter().map(|thread| Stuck::unseen(thread, "looking at it has failed")).collect();
            self.tell(number, found.next().unwrap_or_else(failed));
        }
    }

    fn end_what_is_over(&mut self, suspects: &[Suspect]) {
        let now = Instant::now();
        let mut unseen = Vec::new();
        for open in self.open.iter_mut().filter(|open| open.lasted.is_none()) {
            if !suspects.iter().any(|suspect| suspect.case == open.suspect.case) {
                open.lasted = Some(now.duration_since(open.suspect.since()));
                if open.stage == Stage::New && self.pace.take(1, now) == 1 {
                    let threads = &open.suspect.threads;
                    unseen.push((open.number, threads.iter().map(|thread| Stuck::unseen(thread, OVER)).collect()));
                }
            }
        }
        for (number, threads) in unseen {
            self.tell(number, threads);
        }
        let over = self.open.extract_if(.., |open| open.lasted.is_some() && open.stage != Stage::LookedAt);
        for open in over {
            match open.stage {
                Stage::Told => tell_end(&open),
                _ => self.uncaptured.inc(&[MAIN]),
            }
            self.recent.end(open.number, open.lasted.unwrap_or_default());
        }
    }

    /// What lasts long enough is a stall, if it was suspected the last time too: a process that was paused as a whole
    /// finds every poll old, and each of them ends before the next look.
    fn begin(&mut self, suspects: &[Suspect]) {
        for suspect in suspects {
            let lasted = suspect.since().elapsed();
            let is_known = self.open.iter().any(|open| open.suspect.case == suspect.case);
            if is_known || lasted < self.after || !self.before.contains(&suspect.case) {
                continue;
            }
            self.stalls.inc(&[MAIN]);
            let number = self.recent.count();
            let began = now().checked_sub(lasted).unwrap_or(SystemTime::UNIX_EPOCH);
            self.open.push(Open { number, began, suspect: suspect.clone(), stage: Stage::New, lasted: None });
        }
    }

    fn look_at_new(&mut self, question: impl Fn() -> Option<Instant> + Send + 'static) {
        let new = self.open.iter().filter(|open| open.stage == Stage::New).count();
        if new == 0 || self.looking.is_some() {
            return;
        }
        let allowed = self.pace.take(new, Instant::now());
        let mut suspects = Vec::new();
        for open in self.open.iter_mut().filter(|open| open.stage == Stage::New).take(allowed) {
            open.stage = Stage::LookedAt;
            suspects.push(open.suspect.clone());
        }
        if !suspects.is_empty() {
            match tool::start(move || capture(&suspects, question)) {
                Ok(looking) => self.looking = Some(looking),
                Err(_) => self.tell_what_was_found(Vec::new()),
            }
        }
    }

    /// Writes it into the log and keeps it; at its end too, if that has come already.
    fn tell(&mut self, number: u64, threads: Vec<Stuck>) {
        let Some(open) = self.open.iter_mut().find(|open| open.number == number) else { return };
        open.stage = Stage::Told;
        if threads.iter().all(|stuck| stuck.stack.is_err()) {
            self.uncaptured.inc(&[MAIN]);
        }
        let stall = Stall {
            number,
            began: open.began,
            since: open.suspect.since(),
            lasted: open.lasted,
            task: open.suspect.task.clone(),
            threads,
        };
        tell_beginning(&stall);
        self.recent.keep(stall);
    }
}

fn tell_beginning(stall: &Stall) {
    let message = match stall.task {
        Some(_) => "a worker is stuck in one poll of a task: see /debug/stalls",
        None => "the runtime comes to nothing new: see /debug/stalls",
    };
    let mut code: Vec<_> = stall.threads.iter().filter_map(|stuck| stuck.code.as_deref()).collect();
    code.dedup();
    let tids: Vec<_> = stall.threads.iter().map(|stuck| stuck.thread.tid.to_string()).collect();
    tracing::warn!(
        target: "glasshouse::internal",
        {
            stall.id = stall.number,
            stall.seconds = stall.duration().as_secs_f64(),
            code.function.name = (!code.is_empty()).then(|| code.join(", ")),
            task.name = stall.task.as_ref().map(|task| task.name),
            task.spawned_at = stall.task.as_ref().map(|task| task.spawned_at.to_string()),
            thread.name = stall.threads.first().map(|stuck| stuck.thread.name.as_str()),
            thread.id = tids.join(", "),
        },
        "{message}"
    );
}

fn tell_end(open: &Open) {
    tracing::info!(
        target: "glasshouse::internal",
        {
            stall.id = open.number,
            stall.seconds = open.lasted.unwrap_or_default().as_secs_f64(),
            task.name = open.suspect.task.as_ref().map(|task| task.name),
        },
        "a stall is over"
    );
}

#[expect(clippy::disallowed_methods, reason = "when the process was stuck, not when something happened in its domain")]
fn now() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Case, Journal, Recent, Suspect};
    use crate::telemetry::Metrics;

    #[test]
    fn what_is_old_only_because_everything_was_paused_is_no_stall() {
        let recent = Recent::default();
        let mut journal = Journal::new(Duration::from_secs(1), recent.clone(), &Metrics::new(10));
        let old = || {
            let since = Instant::now().checked_sub(Duration::from_secs(9)).unwrap();
            vec![Suspect { case: Case::Silence(since), task: None, threads: Vec::new() }]
        };
        let stall = old();
        for (suspects, counted) in
            [(old(), 0), (old(), 0), (Vec::new(), 0), (stall.clone(), 0), (stall.clone(), 1), (stall, 1)]
        {
            journal.look(&suspects, || None);
            assert_eq!(recent.counted(), counted);
        }
    }
}
