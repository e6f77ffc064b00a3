//! What is wrong for as long as a fault is on: leaks, blocked workers, no connection, no collector.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use super::{ALLOWED, ME, end, met, put, rehearsing};
use crate::support::{Collector, Engine, Service, eventually, hex, on_both_stores};

async fn tasks(service: &Service) -> f64 {
    service.metric("tokio_runtime_alive_tasks{runtime=\"main\"}").await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaked_tasks_are_found_by_their_name_and_end_with_the_fault() {
    let (service, _) = rehearsing(Engine::Sqlite).await;
    let before = tasks(&service).await;
    put(&service, &json!([{ "fault": "task_leak", "per_second": 500 }])).await;
    eventually("tasks leak", async || (tasks(&service).await > before + 200.0).then_some(())).await;
    let dump = service.internal("/debug/pprof/goroutine?debug=1").await.text().await.unwrap();
    assert!(dump.contains("leaked_task"), "{dump}");
    assert!(met(&service, "task_leak").await >= Some(200.0));
    end(&service).await;
    eventually("they end", async || (tasks(&service).await <= before + 5.0).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaked_memory_is_allocated_and_freed() {
    const MIB: f64 = 1024.0 * 1024.0;
    let (service, _) = rehearsing(Engine::Sqlite).await;
    let (tasks_before, allocated) =
        (tasks(&service).await, async || service.metric("jemalloc_allocated_bytes").await.unwrap() / MIB);
    let allocated_before = allocated().await;
    put(&service, &json!([{ "fault": "memory_leak", "per_second": "64MiB" }])).await;
    // Whether it is really touched is for tests/process to see: here other tests take memory too.
    eventually("memory leaks", async || {
        let leaks = allocated().await > allocated_before + 150.0;
        (leaks && met(&service, "memory_leak").await >= Some(20.0)).then_some(())
    })
    .await;
    end(&service).await;
    eventually("it is given back", async || (allocated().await < allocated_before + 100.0).then_some(())).await;
    eventually("so is the task", async || (tasks(&service).await <= tasks_before + 5.0).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocked_workers_are_named_and_let_go_also_when_it_is_all_of_them() {
    let settings = [ALLOWED, ("GLASSHOUSE_INTERNAL__STALL_AFTER", "200ms")];
    let service = Service::start_with(Engine::Sqlite, &settings).await;
    let ann = service.client().joined("ann@example.com").await;
    let stalled = async || service.metric("tokio_runtime_stalled{runtime=\"main\"}").await.unwrap();
    for workers in [1, 2] {
        put(&service, &json!([{ "fault": "blocked_worker", "workers": workers }])).await;
        eventually("it stalls", async || (stalled().await > 0.5).then_some(())).await;
        eventually("the code is named", async || {
            let lines = service.lines();
            let named = lines.iter().filter_map(|line| line["code.function.name"].as_str());
            named.filter(|name| name.ends_with("block_the_worker")).count().ge(&workers).then_some(())
        })
        .await;
        assert_eq!(service.internal("/debug/faults").await.status(), 200);
        end(&service).await;
        eventually("it is over", async || (stalled().await < 0.5).then_some(())).await;
        assert_eq!(ann.client.me().await.status, 200);
    }
    assert_eq!(met(&service, "blocked_worker").await, Some(3.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_whose_workers_are_all_blocked_on_purpose_can_be_stopped() {
    let brief = [ALLOWED, ("GLASSHOUSE_SHUTDOWN__GRACE", "100ms"), ("GLASSHOUSE_SHUTDOWN__STORE", "100ms")];
    let service = Service::start_with(Engine::Sqlite, &brief).await;
    put(&service, &json!([{ "fault": "blocked_worker", "workers": 2 }])).await;
    eventually("both are", async || (met(&service, "blocked_worker").await > Some(1.5)).then_some(())).await;
    let began = Instant::now();
    let stopped = service.stop().await;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert!(stopped.log.contains("faults were ended"), "{}", stopped.log);
}

on_both_stores! {
    async fn a_refused_pool_is_a_database_that_is_not_there(engine) {
        let (service, ann) = rehearsing(engine).await;
        put(&service, &json!([{ "fault": "refused_pool" }])).await;
        let reply = ann.client.named("refused-1", ann.client.request(Method::GET, ME)).await;
        assert_eq!((reply.status.as_u16(), reply.code()), (503, "store_unavailable"));
        assert_eq!(reply.header("retry-after"), "1");
        assert_eq!(service.line("refused-1").await["error.type"], "store_unavailable");
        ready(&service, 503).await;
        let gauge = async || service.metric("glasshouse_ready{check=\"store\"}").await;
        eventually("the gauge follows", async || (gauge().await == Some(0.0)).then_some(())).await;
        assert_eq!(service.client().get("/health/live").await.status, 200);
        assert!(met(&service, "refused_pool").await >= Some(2.0));
        end(&service).await;
        ready(&service, 200).await;
        assert_eq!(ann.client.me().await.status, 200);
    }
}

/// Waits for that answer: one may be a little older.
async fn ready(service: &Service, status: u16) {
    let asked = async || (service.client().get("/health/ready").await.status == status).then_some(());
    eventually("readiness follows", asked).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreachable_collector_is_counted_and_comes_back() {
    let collector = Collector::start().await;
    let settings = [ALLOWED, ("OTEL_LOGS_EXPORTER", "otlp"), ("OTEL_BLRP_SCHEDULE_DELAY", "50")];
    let service = Service::observed(Engine::Sqlite, &collector, &settings).await;
    let ann = service.client().joined("ann@example.com").await;
    eventually("spans arrive", async || (!collector.spans().is_empty()).then_some(())).await;
    put(&service, &json!([{ "fault": "unreachable_collector" }])).await;
    let failed = async |signal: &str| {
        let series = format!("otel_sdk_exporter_{signal}_exported_total{{error_type=\"failed\"}}");
        service.metric(&series).await.unwrap()
    };
    for signal in ["span", "log"] {
        eventually("exports fail", async || {
            assert_eq!(ann.client.me().await.status, 200);
            (failed(signal).await > 0.0).then_some(())
        })
        .await;
    }
    assert!(met(&service, "unreachable_collector").await >= Some(2.0));
    end(&service).await;
    let reply = ann.client.me().await;
    let trace = reply.header("traceresponse").split('-').nth(1).unwrap().to_owned();
    eventually("spans arrive again", async || collector.spans().into_iter().find(|span| hex(&span.trace_id) == trace))
        .await;
}
