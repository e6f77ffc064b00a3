//! The database is away, failing, slow, or has too few connections.

use crate::{
    cause::Cause::{Crowd, Injected, LockedTable, StoppedDatabase},
    fault::Fault,
};

/// What a service without its database also does.
const FAILING: &[&str] = &["HighErrorRate", "AvailabilityBurnFast", "AvailabilityBurnSlow", "ErrorBudgetLow"];

/// What a service that waits for its database also does.
const WAITING: &[&str] = &["HighLatencyP99", "LatencyBurnFast", "LatencyBurnSlow", "ErrorBudgetLow"];

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "database-down",
        alerts: &["DatabaseDown"],
        others: &[
            "HighLatencyP99",
            "LatencyBurnFast",
            "LatencyBurnSlow",
            "AvailabilityBurnFast",
            "HighErrorRate",
            "RequestsShed",
            "TrafficVanished",
            "DatabaseErrors",
            "CircuitOpen",
            "AvailabilityBurnSlow",
            "ErrorBudgetLow",
        ],
        causes: &[StoppedDatabase],
        own_database: true,
        journeys: 1.0,
        ..Fault::NONE
    },
    Fault {
        name: "database-slow",
        alerts: &["DatabaseSlow"],
        others: WAITING,
        causes: &[Injected(r#"[{"fault": "delay", "statement": "SELECT users by email", "for": "300ms"}]"#)],
        // The rule wants fifty statements in its window.
        pace: 0.25,
        journeys: 1.5,
        ..Fault::NONE
    },
    Fault {
        name: "database-errors",
        alerts: &["DatabaseErrors"],
        others: FAILING,
        causes: &[Injected(r#"[{"fault": "error", "statement": "SELECT users by email", "share": 0.5}]"#)],
        pace: 0.5,
        journeys: 1.5,
        ..Fault::NONE
    },
    Fault {
        name: "pool-exhausted",
        alerts: &["PoolSaturated"],
        others: &[
            "DatabaseDown",
            "DatabaseSlow",
            "DatabaseErrors",
            "RequestsShed",
            "CircuitOpen",
            "HighErrorRate",
            "HighLatencyP99",
            "LatencyBurnFast",
            "LatencyBurnSlow",
            "AvailabilityBurnFast",
            "AvailabilityBurnSlow",
            "ErrorBudgetLow",
        ],
        causes: &[Injected(r#"[{"fault": "delay", "statement": "SELECT users by email", "for": "2s"}]"#)],
        settings: &[("GLASSHOUSE_STORE__MAX_CONNECTIONS", "2")],
        pace: 0.5,
        journeys: 1.5,
        ..Fault::NONE
    },
    Fault {
        name: "table-locked",
        alerts: &["CircuitOpen"],
        others: &[
            "DatabaseErrors",
            "DatabaseSlow",
            "PoolSaturated",
            "TrafficVanished",
            "HighErrorRate",
            "HighLatencyP99",
            "LatencyBurnFast",
            "LatencyBurnSlow",
            "AvailabilityBurnFast",
            "AvailabilityBurnSlow",
            "ErrorBudgetLow",
        ],
        // While there are calls, no ping closes the circuit.
        causes: &[Crowd(20), LockedTable],
        settings: &[("GLASSHOUSE_STORE__STATEMENT_TIMEOUT", "300ms")],
        pace: 0.5,
        journeys: 1.5,
        ..Fault::NONE
    },
];
