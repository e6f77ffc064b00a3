//! Several stacks at once, beside one on which nothing is broken.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use tokio::{
    runtime::Handle,
    sync::{Semaphore, watch},
    task::JoinSet,
};

use crate::{arguments::Drills, drill, drill::Report, fault::Fault, shipped, table};

/// Plays them all, beside a stack on which nothing is broken for as long as the others take, and says whether every one
/// went as it must.
pub(crate) async fn run(asked: Drills) -> bool {
    if asked.faults.is_empty() {
        return true;
    }
    let disagreements = shipped::disagreements();
    if !disagreements.is_empty() {
        println!("{}", disagreements.join("\n"));
        return false;
    }
    let (over, control) = (watch::Sender::new(false), drill::CONTROL);
    let mut drills = JoinSet::new();
    {
        let over = over.subscribe();
        drills.spawn_blocking(move || caught(control, drill::control(control, asked.scale, over)));
    }
    let lanes = Arc::new(Semaphore::new(asked.lanes));
    for fault in asked.faults {
        let lanes = Arc::clone(&lanes);
        // A thread each: what they start and stop is waited for.
        drills.spawn_blocking(move || {
            caught(fault, async {
                let _lane = lanes.acquire().await.unwrap();
                println!("{}: begins", fault.name);
                drill::run(fault, asked.scale).await
            })
        });
    }
    let mut reports = Vec::new();
    while let Some(report) = drills.join_next().await {
        let report = report.unwrap();
        let outcome = if report.passed() { "passed" } else { "FAILED" };
        println!("{}: {outcome} after {:.0?}", report.fault, report.took);
        report.complaints().for_each(|complaint| println!("  {complaint}"));
        reports.push(report);
        // What is left is the one that nothing happens to.
        over.send_replace(drills.len() == 1);
    }
    table::tell(&reports, asked.scale);
    reports.iter().all(Report::passed)
}

/// Runs it to its end on this thread; a panic is a failure like others.
fn caught(fault: &'static Fault, drill: impl Future<Output = Report>) -> Report {
    let run = || Handle::current().block_on(drill);
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref().copied());
        Report::failed(fault, text.unwrap_or("it panicked").to_owned())
    })
}
