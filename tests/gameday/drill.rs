//! One fault from beginning to end, and what was heard of it.

use std::time::{Duration, SystemTime};

use tokio::sync::watch;

use crate::{
    diagnosed,
    fault::Fault,
    history,
    shipped::{self, Shipped},
    stack::{STARTING, within},
    stage::Stage,
};

/// Longer than any alert waits, in production's time; what waits longer goes at a pace of its own.
const PATIENCE: Duration = Duration::from_hours(8);

/// How long the dead man's switch waits for the Watchdog.
const DEAD_MAN: Duration = Duration::from_mins(5);

/// What became of one alert: from the beginning of the fault, and the last from its end.
pub(crate) struct Row {
    pub(crate) alert: &'static str,
    pub(crate) pending: Option<Duration>,
    pub(crate) firing: Option<Duration>,
    pub(crate) delivered: Option<Duration>,
    pub(crate) resolved: Option<Duration>,
}

/// What became of a fault.
pub(crate) struct Report {
    pub(crate) fault: &'static str,
    pub(crate) factor: f64,
    pub(crate) rows: Vec<Row>,
    /// Alerts that fired for no reason.
    pub(crate) false_alarms: Vec<String>,
    /// Alerts that rightly fired too.
    pub(crate) others: Vec<String>,
    pub(crate) failures: Vec<String>,
    pub(crate) took: Duration,
}

impl Report {
    /// Of a drill that did not come to its end.
    pub(crate) fn failed(fault: &Fault, failure: String) -> Self {
        Self {
            fault: fault.name,
            factor: 0.0,
            rows: Vec::new(),
            false_alarms: Vec::new(),
            others: Vec::new(),
            failures: vec![failure],
            took: Duration::ZERO,
        }
    }

    /// Everything that went otherwise than it must.
    pub(crate) fn complaints(&self) -> impl Iterator<Item = String> {
        let alarms = self.false_alarms.iter().map(|alarm| format!("{}: false alarm: {alarm}", self.fault));
        self.failures.iter().map(|failure| format!("{}: {failure}", self.fault)).chain(alarms)
    }

    pub(crate) fn passed(&self) -> bool {
        self.complaints().next().is_none()
    }
}

#[expect(clippy::disallowed_methods, reason = "compared with what Prometheus says of the time")]
fn now() -> SystemTime {
    SystemTime::now()
}

/// Plays it, on a clock that goes faster by that factor.
pub(crate) async fn run(fault: &'static Fault, factor: f64) -> Report {
    let started = now();
    let mut stage = Stage::start(fault, factor).await;
    let mut drill = Drill { fault, limit: 3 * STARTING + stage.scale.duration(PATIENCE), failures: Vec::new() };
    let rows = drill.play(&mut stage).await;
    let mut report = heard(&stage, fault, started).await;
    (report.rows, report.failures) = (rows, drill.failures);
    report
}

/// The one on which nothing is broken.
pub(crate) const CONTROL: &Fault = &Fault { name: "nothing", ..Fault::NONE };

/// Lets it run until the others are over: no alert may fire but the Watchdog.
pub(crate) async fn control(fault: &'static Fault, factor: f64, mut over: watch::Receiver<bool>) -> Report {
    let started = now();
    let stage = Stage::start(fault, factor).await;
    over.wait_for(|over| *over).await.unwrap();
    heard(&stage, fault, started).await
}

/// What has fired on that stage since then.
async fn heard(stage: &Stage, fault: &'static Fault, since: SystemTime) -> Report {
    let states = history::states(&stage.stack.prometheus.api(), since).await;
    let failures = if states.is_some() { Vec::new() } else { vec!["Prometheus does not answer".to_owned()] };
    let fired = states.into_iter().flatten().filter(|(_, states)| states.firing.is_some()).map(|(name, _)| name);
    let wanted = |name: &String| name == "Watchdog" || fault.alerts.contains(&name.as_str());
    let (others, false_alarms) =
        fired.filter(|name| !wanted(name)).partition(|name| fault.others.contains(&name.as_str()));
    Report {
        fault: fault.name,
        factor: stage.scale.factor,
        rows: Vec::new(),
        false_alarms,
        others,
        failures,
        took: now().duration_since(since).unwrap_or_default(),
    }
}

struct Drill {
    fault: &'static Fault,
    limit: Duration,
    failures: Vec<String>,
}

impl Drill {
    async fn play(&mut self, stage: &mut Stage) -> Vec<Row> {
        if let Err(failure) = stage.settled(self.fault.history_minutes, self.limit).await {
            self.failures.push(failure);
            return Vec::new();
        }
        let begun = now();
        for cause in self.fault.causes {
            cause.begin(stage).await;
        }
        let heard =
            if self.fault.alerts == ["Watchdog"] { self.silence(stage).await } else { self.alarm(stage, begun).await };
        // What points at a Prometheus that is gone cannot be asked of it.
        let is_dead_man = self.fault.alerts == ["Watchdog"];
        if heard && !is_dead_man {
            self.diagnose(stage).await;
        }
        let ended = now();
        for cause in self.fault.causes.iter().rev() {
            cause.end(stage).await;
        }
        if !heard {
            return Vec::new();
        }
        self.all_clear(stage, ended).await;
        if is_dead_man {
            self.diagnose(stage).await;
        }
        self.rows(stage, begun, ended).await
    }

    /// Waits until every alert of the fault has reached who is to be told.
    async fn alarm(&mut self, stage: &Stage, begun: SystemTime) -> bool {
        let missing = || {
            let deliveries = stage.stack.webhook.deliveries();
            let told = |alert: &&&str| history::delivered(&deliveries, alert, receiver(alert), begun).is_some();
            self.fault.alerts.iter().filter(|alert| !told(alert)).copied().collect::<Vec<_>>()
        };
        let all = within(self.limit, async || missing().is_empty().then_some(())).await;
        if all.is_none() {
            let alerts = stage.stack.prometheus.api().alerts().await.unwrap_or_default();
            let states = alerts.iter().map(|alert| format!("{} {}", alert["labels"]["alertname"], alert["state"]));
            let states = states.collect::<Vec<_>>().join(", ");
            self.failures.push(format!("{} not delivered; there are: {states}", missing().join(", ")));
        }
        all.is_some()
    }

    /// Pastes what the pages of the fault's alerts say.
    async fn diagnose(&mut self, stage: &Stage) {
        for alert in self.fault.alerts {
            self.failures.extend(diagnosed::lacking(alert, stage).await);
        }
    }

    /// Waits until the dead man's switch has heard nothing for as long as it takes to speak.
    async fn silence(&mut self, stage: &Stage) -> bool {
        let patience = stage.scale.duration(DEAD_MAN);
        let silent = async || {
            let last = stage.stack.webhook.deliveries().iter().rev().find(|told| told.name() == "Watchdog")?.at;
            (now().duration_since(last).ok()? > patience).then_some(())
        };
        let fell_silent = within(self.limit, silent).await.is_some();
        if !fell_silent {
            self.failures.push("the Watchdog is told on, with nobody there to tell".to_owned());
        }
        fell_silent
    }

    /// Waits until every alert of the fault is over, and whoever was told has been told so.
    async fn all_clear(&mut self, stage: &Stage, ended: SystemTime) {
        for alert in self.fault.alerts {
            let over = async || {
                let deliveries = stage.stack.webhook.deliveries();
                match *alert {
                    "Watchdog" => history::delivered(&deliveries, alert, receiver(alert), ended),
                    _ => history::resolved(&deliveries, alert, receiver(alert)),
                }
            };
            if within(self.limit, over).await.is_none() {
                self.failures.push(format!("{alert} has not ended"));
            }
        }
    }

    async fn rows(&mut self, stage: &Stage, begun: SystemTime, ended: SystemTime) -> Vec<Row> {
        let states = history::states(&stage.stack.prometheus.api(), begun).await.unwrap_or_default();
        let deliveries = stage.stack.webhook.deliveries();
        let after = |since: SystemTime| move |at: SystemTime| at.duration_since(since).unwrap_or_default();
        let row = |alert: &&'static str| {
            let states = states.get(*alert).copied().unwrap_or_default();
            Row {
                alert,
                pending: states.pending.map(after(begun)),
                firing: states.firing.map(after(begun)),
                delivered: history::delivered(&deliveries, alert, receiver(alert), begun).map(after(begun)),
                resolved: history::resolved(&deliveries, alert, receiver(alert)).map(after(ended)),
            }
        };
        let rows: Vec<_> = self.fault.alerts.iter().map(row).collect();
        for row in &rows {
            if row.pending.is_none() && shipped(row.alert).waits {
                self.failures.push(format!("{} was never pending", row.alert));
            }
            if row.firing.is_none() {
                self.failures.push(format!("{} was told of, and Prometheus has never seen it fire", row.alert));
            }
        }
        rows
    }
}

fn shipped(alert: &str) -> &'static Shipped {
    shipped::ALERTS.get(alert).unwrap_or_else(|| panic!("no alert is called {alert}"))
}

fn receiver(alert: &str) -> &'static str {
    shipped::receiver(&shipped(alert).severity)
}
