//! What clients see: errors, slowness, or that nobody comes through to the service.

use crate::{
    cause::Cause::{Crowd, EndedLoad, Injected},
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
    // Two connections and a statement of 100 ms make twenty requests a second; three times as many are asked for.
    Fault {
        name: "overload",
        alerts: &["RequestsShed"],
        others: &[
            "HighErrorRate",
            "AvailabilityBurnFast",
            "AvailabilityBurnSlow",
            "ErrorBudgetLow",
            "HighLatencyP99",
            "LatencyBurnFast",
            "LatencyBurnSlow",
            "DatabaseSlow",
            "PoolSaturated",
        ],
        causes: &[Crowd(60), Injected(r#"[{"fault": "delay", "statement": "SELECT sessions", "for": "100ms"}]"#)],
        settings: &[("GLASSHOUSE_STORE__MAX_CONNECTIONS", "2"), ("GLASSHOUSE_SHED__MAX_WAIT", "100ms")],
        pace: 0.5,
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
