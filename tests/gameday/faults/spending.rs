//! Error budgets that are spent slowly. What takes days in production has a clock of its own here.

use crate::{cause::Cause::Injected, fault::Fault};

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "errors-for-days",
        alerts: &["AvailabilityBurnFast", "AvailabilityBurnSlow"],
        others: &["HighErrorRate", "ErrorBudgetLow"],
        causes: &[Injected(r#"[{"fault": "error", "route": "/api/v1/users/{id}", "share": 0.5}]"#)],
        pace: 10.0,
        journeys: 1.0,
        ..Fault::NONE
    },
    Fault {
        name: "slow-for-days",
        alerts: &["LatencyBurnFast", "LatencyBurnSlow"],
        others: &["HighLatencyP99", "ErrorBudgetLow"],
        causes: &[Injected(r#"[{"fault": "delay", "route": "/api/v1/users/{id}", "for": "400ms"}]"#)],
        pace: 10.0,
        journeys: 1.0,
        ..Fault::NONE
    },
    Fault {
        name: "budget-spent",
        alerts: &["ErrorBudgetLow"],
        others: &["AvailabilityBurnFast", "AvailabilityBurnSlow", "HighErrorRate"],
        causes: &[Injected(r#"[{"fault": "error", "route": "/api/v1/users/{id}", "share": 0.5}]"#)],
        pace: 1440.0,
        journeys: 1.0,
        ..Fault::NONE
    },
];
