//! What the Diagnosis of each alert's page must bring to light while its fault is on: the guilty route, statement,
//! function or part, in words that stand in the answers of its commands.

/// Where a word must stand, among the answers of one page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    /// In one of them.
    Anywhere(&'static str),
    /// In the first line of one that has several: what is worst comes first.
    First(&'static str),
    /// In none: it is there while all is well.
    Nowhere(&'static str),
}

use Sign::{Anywhere, First, Nowhere};

/// The route that is broken where a fault is at one.
pub(crate) const ROUTE: &str = "/api/v1/users/me";
/// The statement that is broken where a fault is at one.
pub(crate) const STATEMENT: &str = "SELECT users by email";

/// What faults on purpose say of themselves, where an error tells its cause.
const INJECTED: &str = "a fault was injected";

/// Every alert, in the order of the runbook's index.
pub(crate) const DIAGNOSES: &[(&str, &[Sign])] = &[
    // No target at all.
    ("TargetAbsent", &[Anywhere("{job=\"prometheus\"}"), Nowhere("{job=\"glasshouse\"}")]),
    // The process is killed.
    ("TargetDown", &[Anywhere("connection refused")]),
    // It is killed again and again, and runs when somebody looks.
    ("CrashLoop", &[First("instance="), Anywhere("\"store\":\"ok\"")]),
    // PostgreSQL is stopped.
    ("DatabaseDown", &[Nowhere("\"store\":\"ok\""), Anywhere("\"store\":\"")]),
    // blocked_worker
    ("RuntimeStalled", &[Anywhere("block_the_worker")]),
    // Nobody asks any more, and the service is well.
    ("TrafficVanished", &[Anywhere("token_missing")]),
    // error, delay at ROUTE
    ("HighErrorRate", &[First(ROUTE), Anywhere(INJECTED)]),
    ("HighLatencyP99", &[First(ROUTE)]),
    ("AvailabilityBurnFast", &[First(ROUTE), Anywhere(INJECTED)]),
    ("LatencyBurnFast", &[First(ROUTE)]),
    // A statement that takes its connection for long, asked for by more than there are connections.
    ("RequestsShed", &[First("class=\"other\""), First(ROUTE), First("SELECT sessions")]),
    // error, delay at STATEMENT
    ("DatabaseErrors", &[First(STATEMENT), Anywhere(INJECTED)]),
    ("DatabaseSlow", &[First(STATEMENT)]),
    ("PoolSaturated", &[First(STATEMENT)]),
    // Somebody has a table to himself.
    ("CircuitOpen", &[First("57014"), Nowhere("\"circuit\":\"ok\""), Anywhere("LOCK TABLE users")]),
    // blocked_worker, for a moment or for all
    ("SchedulingDelay", &[Anywhere("block_the_worker")]),
    // task_leak, memory_leak
    ("TaskLeak", &[Anywhere("leaked_task")]),
    ("HeapGrowth", &[Anywhere("leak_memory")]),
    // Connections that stay.
    ("FileDescriptorsLow", &[Anywhere("glasshouse_http_connections{")]),
    // panic at ROUTE
    ("Panics", &[Anywhere("error_type=\"panic\""), Anywhere("injected_panic")]),
    // Wrong passwords; tokens that are none, at ROUTE.
    ("SignInFailures", &[Anywhere("\"error.type\":\"too_many_sign_ins\"")]),
    ("TokenRejections", &[Anywhere("\"error.type\":\"token_")]),
    // error, delay at ROUTE, seldom
    ("AvailabilityBurnSlow", &[First(ROUTE)]),
    ("LatencyBurnSlow", &[First(ROUTE)]),
    ("ErrorBudgetLow", &[First(ROUTE)]),
    // unreachable_collector
    ("TelemetryDropped", &[First("error_type=\"failed\"")]),
    // Nobody reads stdout.
    ("LogLinesDropped", &[First("level=\"info\"")]),
    // More values than telemetry.max_series.
    ("SeriesOverflow", &[First("family=")]),
    // A rule that matches many to many.
    ("RuleFailures", &[First("err ")]),
    // It fires, as it should, and is on its way to the dead man's switch.
    ("Watchdog", &[Anywhere("alertname=\"Watchdog\""), Anywhere("deadman")]),
];

/// The signs of that alert that its answers do not give.
pub(crate) fn missing(alert: &str, answers: &[String]) -> Vec<Sign> {
    let signs = DIAGNOSES.iter().find(|(name, _)| *name == alert).map_or(&[][..], |(_, signs)| signs);
    let is_there = |sign: &&Sign| match sign {
        Anywhere(word) => answers.iter().any(|answer| answer.contains(word)),
        First(word) => answers.iter().any(|answer| answer.lines().next().is_some_and(|line| line.contains(word))),
        Nowhere(word) => !answers.iter().any(|answer| answer.contains(word)),
    };
    signs.iter().filter(|sign| !is_there(sign)).copied().collect()
}

#[test]
fn a_sign_is_looked_for_where_it_must_stand() {
    let answers =
        ["{db_query_summary=\"SELECT users by email\"} => 1\n{db_query_summary=\"COMMIT\"} => 0\n".to_owned()];
    assert_eq!(missing("DatabaseSlow", &answers), []);
    let answers =
        ["{db_query_summary=\"COMMIT\"} => 1\n{db_query_summary=\"SELECT users by email\"} => 0\n".to_owned()];
    assert_eq!(missing("DatabaseSlow", &answers), [First(STATEMENT)]);
    let answers = ["{\"http\":\"ok\",\"store\":\"ok\"}".to_owned()];
    assert_eq!(missing("DatabaseDown", &answers), [Nowhere("\"store\":\"ok\"")]);
}
