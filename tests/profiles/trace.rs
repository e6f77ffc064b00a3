//! The trace of what the workers did.

use std::{collections::HashSet, sync::Arc, time::Duration};

use glasshouse::telemetry::{spawn, tasks::spawn_on};
use serde_json::Value;

use crate::support::{Service, eventually};

async fn trace(service: &Service, query: &str) -> Value {
    let reply = service.internal(&format!("/debug/pprof/trace?{query}")).await;
    assert_eq!(reply.status(), 200);
    assert_eq!(reply.headers()["content-type"], "application/json");
    assert_eq!(reply.headers()["content-disposition"], "attachment; filename=\"trace\"");
    serde_json::from_str(&reply.text().await.unwrap()).unwrap()
}

fn events<'a>(trace: &'a Value, name: &'a str) -> impl Iterator<Item = &'a Value> {
    trace["traceEvents"].as_array().unwrap().iter().filter(move |event| event["name"] == name)
}

#[tokio::test]
async fn polls_are_shown_by_the_name_of_the_task_and_by_thread() {
    let service = Service::start().await;
    drop(spawn_on(&service.main, "ticker", async {
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        loop {
            ticks.tick().await;
            drop(spawn("errand", async {}));
        }
    }));
    let trace = trace(&service, "seconds=0.5").await;
    let seconds = trace["otherData"]["seconds"].as_f64().unwrap();
    assert!((0.5..5.0).contains(&seconds), "{seconds}");
    assert_eq!(trace["otherData"]["events_lost"], 0);
    for name in ["ticker", "errand", "parked"] {
        let events: Vec<_> = events(&trace, name).collect();
        assert!(events.len() > 20, "{name}: {}", events.len());
        for event in events {
            let (from, took) = (event["ts"].as_f64().unwrap(), event["dur"].as_f64().unwrap());
            assert!(event["ph"] == "X" && from >= 0.0 && (from + took) <= seconds * 1e6 + 1.0, "{event}");
        }
    }
    for (name, task) in [("task begun", "errand"), ("task ended", "errand")] {
        assert!(events(&trace, name).filter(|event| event["args"]["name"] == task).count() > 20, "{name}");
    }
    let threads: HashSet<_> = events(&trace, "thread_name").map(|event| event["tid"].as_u64().unwrap()).collect();
    let used: HashSet<_> = events(&trace, "ticker").map(|event| event["tid"].as_u64().unwrap()).collect();
    assert!(used.is_subset(&threads) && !threads.is_empty(), "{used:?} {threads:?}");
}

#[tokio::test]
async fn a_worker_that_is_stuck_all_the_time_is_shown_with_its_task() {
    let service = Service::start().await;
    let stuck = Arc::new(std::sync::Barrier::new(2));
    let blocker = Arc::clone(&stuck);
    drop(spawn_on(&service.main, "blocker", async move {
        blocker.wait();
        blocker.wait();
    }));
    stuck.wait();
    let trace = trace(&service, "seconds=0.2").await;
    let polls: Vec<_> = events(&trace, "blocker").collect();
    assert_eq!(polls.len(), 1, "{trace}");
    assert!(polls[0]["dur"].as_f64().unwrap() >= 0.2e6, "{}", polls[0]);
    stuck.wait();
}

#[tokio::test]
async fn there_is_one_at_a_time_and_whoever_goes_away_ends_it() {
    let service = Service::start().await;
    let ask = || spawn("client", service.ask("/debug/pprof/trace?seconds=10").send());
    let mut long = ask();
    let refused = eventually("it runs", async || {
        if long.is_finished() {
            // The short one came first.
            long = ask();
        }
        let reply = service.internal("/debug/pprof/trace?seconds=0.01").await;
        (reply.status() == 409).then_some(reply)
    })
    .await;
    assert!(refused.text().await.unwrap().contains("another trace"));
    long.abort();
    eventually("it has ended", async || {
        let reply = service.internal("/debug/pprof/trace?seconds=0.01").await;
        (reply.status() == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn lengths_that_mean_nothing_are_refused() {
    let service = Service::start().await;
    for seconds in ["0", "-1", "10.1", "300", "nan", "inf", "1s", "", "1e-99", "%FF"] {
        let reply = service.internal(&format!("/debug/pprof/trace?seconds={seconds}")).await;
        assert_eq!(reply.status(), 400, "{seconds}");
        assert!(reply.text().await.unwrap().contains("seconds must be"), "{seconds}");
    }
}
