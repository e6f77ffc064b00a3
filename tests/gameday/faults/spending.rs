//! Error budgets that are spent slowly: too little for a page. What takes days in production has a clock of its own here.

use crate::{
    cause::Cause::{Injected, Readers},
    fault::Fault,
};

pub(super) const FAULTS: &[Fault] = &[
    // Four in a thousand, where one is the objective. Of few requests that would be none at all.
    Fault {
        name: "errors-for-days",
        alerts: &["AvailabilityBurnSlow"],
        others: &["AvailabilityBurnFast", "ErrorBudgetLow"],
        causes: &[
            Readers { per_second: 60 },
            Injected(r#"[{"fault": "error", "route": "/api/v1/users/me", "share": 0.004}]"#),
        ],
        pace: 10.0,
        ..Fault::NONE
    },
    // Three in a hundred, where one is the objective.
    Fault {
        name: "slow-for-days",
        alerts: &["LatencyBurnSlow"],
        others: &["LatencyBurnFast", "ErrorBudgetLow"],
        causes: &[
            Readers { per_second: 30 },
            Injected(r#"[{"fault": "delay", "route": "/api/v1/users/me", "for": "400ms", "share": 0.03}]"#),
        ],
        pace: 10.0,
        ..Fault::NONE
    },
    Fault {
        name: "budget-spent",
        alerts: &["ErrorBudgetLow"],
        others: &["AvailabilityBurnFast", "AvailabilityBurnSlow", "HighErrorRate"],
        causes: &[Injected(r#"[{"fault": "error", "route": "/api/v1/users/me", "share": 0.5}]"#)],
        pace: 1440.0,
        journeys: 1.0,
        ..Fault::NONE
    },
];
