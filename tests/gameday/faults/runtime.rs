//! What is stuck, late or leaking inside of the process.

use crate::{
    cause::Cause::{Injected, Interrupted, LeakedMemory, LeakedTasks},
    fault::Fault,
    stack::Limits,
};

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "memory-leak",
        alerts: &["HeapGrowth"],
        causes: &[LeakedMemory { limit_mib: LIMIT_MIB }],
        limits: Limits { data_kib: Some(LIMIT_MIB * 1024) },
        history_minutes: 65,
        ..Fault::NONE
    },
    Fault { name: "task-leak", alerts: &["TaskLeak"], causes: &[LeakedTasks], history_minutes: 80, ..Fault::NONE },
    Fault {
        name: "blocked-worker",
        alerts: &["RuntimeStalled"],
        others: &["SchedulingDelay", "HighLatencyP99", "LatencyBurnFast", "LatencyBurnSlow", "ErrorBudgetLow"],
        causes: &[Injected(r#"[{"fault": "blocked_worker", "workers": 1}]"#)],
        settings: &[("GLASSHOUSE_RUNTIME__WORKERS", "4")],
        ..Fault::NONE
    },
    Fault {
        name: "scheduling-delay",
        alerts: &["SchedulingDelay"],
        others: &[
            "RuntimeStalled",
            "HighLatencyP99",
            "LatencyBurnFast",
            "LatencyBurnSlow",
            "ErrorBudgetLow",
            "TrafficVanished",
            "DatabaseDown",
            "DatabaseSlow",
            "PoolSaturated",
            "RequestsShed",
            "HighErrorRate",
            "AvailabilityBurnFast",
            "AvailabilityBurnSlow",
        ],
        causes: &[Interrupted { workers: 2 }],
        settings: &[("GLASSHOUSE_RUNTIME__WORKERS", "2"), ("GLASSHOUSE_INTERNAL__STALL_AFTER", "200ms")],
        ..Fault::NONE
    },
];

/// What the process may hold when its memory leaks: little enough for a leak that a test machine can spare.
const LIMIT_MIB: u32 = 1024;
