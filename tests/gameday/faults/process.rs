//! The process ends, starts over, panics, or runs out of files.

use crate::{
    cause::Cause::{Crashes, IdleConnections, Injected, OpenFilesLimit, StoppedService},
    fault::Fault,
};

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "crash-loop",
        alerts: &["CrashLoop"],
        others: &["TargetDown", "HighLatencyP99", "LatencyBurnFast", "LatencyBurnSlow"],
        causes: &[Crashes(5)],
        ..Fault::NONE
    },
    Fault {
        name: "panics",
        alerts: &["Panics"],
        others: &["HighErrorRate", "AvailabilityBurnFast", "AvailabilityBurnSlow", "ErrorBudgetLow"],
        causes: &[Injected(r#"[{"fault": "panic", "route": "/api/v1/users/me"}]"#)],
        journeys: 1.0,
        ..Fault::NONE
    },
    Fault {
        name: "file-descriptors",
        alerts: &["FileDescriptorsLow"],
        causes: &[OpenFilesLimit(128), IdleConnections(90)],
        ..Fault::NONE
    },
    Fault {
        name: "service-down",
        alerts: &["TargetDown"],
        others: &["TrafficVanished"],
        causes: &[StoppedService],
        ..Fault::NONE
    },
];
