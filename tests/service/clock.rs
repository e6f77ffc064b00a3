//! Steps of the clock, and a start with a clock that is far ahead.

use chrono::TimeDelta;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Engine, PASSWORD, Postgres, Service, eventually, on_both_stores};

const DAY: f64 = 86_400.0;

fn clock_warning(lines: Vec<Value>) -> Option<Value> {
    lines.into_iter().find(|line| line["clock.offset_seconds"].is_f64())
}

async fn database(engine: Engine, folder: &TempDir) -> String {
    match engine {
        Engine::Sqlite => format!("sqlite://{}?mode=rwc", folder.path().join("users.db").display()),
        Engine::Postgres => Postgres::get().database().await,
    }
}

#[tokio::test]
async fn clock_step_logs_warning_with_offset() {
    for days in [40_i32, -40] {
        let service = Service::start().await;
        service.pass(TimeDelta::days(days.into()));
        let warning = clock_warning(service.stop().await.lines).expect("the step is logged");
        assert_eq!(warning["level"], "WARN");
        assert_eq!(warning["message"], "clock stepped: tokens, sessions and retention are measured by it");
        let offset = warning["clock.offset_seconds"].as_f64().unwrap();
        assert!((offset / DAY - f64::from(days)).abs() < 0.1, "{warning}");
    }
}

#[tokio::test]
async fn service_without_clock_step_logs_no_warning() {
    let service = Service::start().await;
    service.client().joined("ann@example.com").await;
    assert_eq!(clock_warning(service.stop().await.lines), None);
}

on_both_stores! {
    async fn sweep_waits_where_clock_is_past_all_sessions(engine) {
        let folder = TempDir::new().unwrap();
        let url = database(engine, &folder).await;
        let service = Service::start_on(TempDir::new().unwrap(), &url, &[]).await;
        // The sessions of this service expired a year ago by the clock of the next one.
        service.pass(TimeDelta::days(-400));
        service.client().joined("ann@example.com").await;
        service.stop().await.outcome.unwrap();

        // The second start finds the session that the first one did not remove.
        for _ in 0..2 {
            let service = Service::start_on(TempDir::new().unwrap(), &url, &[]).await;
            let warning = eventually("the clock is compared with the sessions", async || {
                clock_warning(service.lines())
            }).await;
            assert_eq!(warning["level"], "WARN");
            assert!(warning["clock.offset_seconds"].as_f64().unwrap() > 300.0 * DAY, "{warning}");
            let stopped = service.stop().await;
            assert!(!stopped.lines.iter().any(|line| line["sessions"].is_u64()), "a session was removed");
        }
    }
}

on_both_stores! {
    async fn sweep_removes_expired_sessions_where_one_has_not_expired(engine) {
        let folder = TempDir::new().unwrap();
        let url = database(engine, &folder).await;
        let service = Service::start_on(TempDir::new().unwrap(), &url, &[]).await;
        service.client().joined("ann@example.com").await;
        service.pass(TimeDelta::days(-400));
        assert_eq!(service.client().sign_in("ann@example.com", PASSWORD).await.status, 200);
        service.stop().await.outcome.unwrap();

        let service = Service::start_on(TempDir::new().unwrap(), &url, &[]).await;
        let swept = eventually("the expired session is removed", async || {
            service.lines().into_iter().find(|line| line["sessions"].is_u64())
        }).await;
        assert_eq!(swept["sessions"], 1);
        assert_eq!(clock_warning(service.stop().await.lines), None);
    }
}
