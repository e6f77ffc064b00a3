//! What clients see: errors, slowness, or that nobody comes through to the service.

use crate::{
    cause::Cause::{EndedLoad, Injected},
    fault::Fault,
};

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "slow",
        alerts: &["HighLatencyP99", "LatencyBurnFast"],
        others: &["LatencyBurnSlow", "ErrorBudgetLow"],
        causes: &[Injected(r#"[{"fault": "delay", "route": "/api/v1/users/me", "for": "1500ms"}]"#)],
        pace: 0.5,
        journeys: 1.5,
        ..Fault::NONE
    },
    Fault {
        name: "errors",
        alerts: &["HighErrorRate", "AvailabilityBurnFast"],
        others: &["AvailabilityBurnSlow", "ErrorBudgetLow"],
        causes: &[Injected(r#"[{"fault": "error", "route": "/api/v1/users/me"}]"#)],
        journeys: 1.0,
        ..Fault::NONE
    },
    Fault {
        name: "traffic-vanished",
        alerts: &["TrafficVanished"],
        causes: &[EndedLoad],
        history_minutes: 30,
        ..Fault::NONE
    },
];
