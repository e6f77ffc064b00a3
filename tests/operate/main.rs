//! What operators are handed, against a running service: a command of the runbook that does not work is worse than none.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed, and says where")]

mod alerts;
mod compose;
mod dashboards;
#[path = "../support/diagnosis.rs"]
mod diagnosis;
mod first_failure;
mod fleet;
mod live;
mod loadtest;
#[path = "../support/page.rs"]
mod page;
mod profiling;
mod queries;
mod runbook;
mod scene;
#[path = "../support/stack/mod.rs"]
#[allow(dead_code, unused_imports, reason = "shared with tests/gameday, which needs more of it")]
mod stack;
mod stacked;
#[path = "../service/support/mod.rs"]
#[allow(dead_code, unused_imports, unused_macros, reason = "shared with tests/service, which needs more of it")]
mod support;
#[path = "../clients/tool.rs"]
#[allow(dead_code, reason = "shared with tests/clients, which needs more of it")]
mod tool;
mod vocabulary;
