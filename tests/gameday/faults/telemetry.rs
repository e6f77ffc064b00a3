//! What watches the service is blind, deaf or gone itself.

use crate::{
    cause::Cause::{FailingRule, GoneCollector, NoTarget, StoppedPrometheus, TinySeriesLimit, UnreadLog},
    fault::Fault,
};

pub(super) const FAULTS: &[Fault] = &[
    Fault { name: "collector-down", alerts: &["TelemetryDropped"], causes: &[GoneCollector], ..Fault::NONE },
    Fault {
        name: "log-reader-stuck",
        alerts: &["LogLinesDropped"],
        causes: &[UnreadLog],
        settings: &[("GLASSHOUSE_LOG__QUEUE", "16")],
        journeys: 1.5,
        ..Fault::NONE
    },
    Fault {
        name: "series-overflow",
        alerts: &["SeriesOverflow"],
        others: &["TargetDown", "HighLatencyP99", "LatencyBurnFast", "LatencyBurnSlow"],
        causes: &[TinySeriesLimit],
        ..Fault::NONE
    },
    Fault {
        name: "target-removed",
        alerts: &["TargetAbsent"],
        others: &["TrafficVanished"],
        causes: &[NoTarget],
        ..Fault::NONE
    },
    Fault { name: "rule-failure", alerts: &["RuleFailures"], causes: &[FailingRule], ..Fault::NONE },
    Fault {
        name: "dead-man",
        alerts: &["Watchdog"],
        others: &["TargetAbsent"],
        causes: &[StoppedPrometheus],
        ..Fault::NONE
    },
];
