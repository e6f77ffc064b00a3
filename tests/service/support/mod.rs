//! What every service test stands on: a whole service in this process, a client, and a collector of its own.

mod admin;
#[path = "../../support/canaries.rs"]
pub(crate) mod canaries;
mod client;
mod collector;
pub(crate) mod leaks;
mod lock;
#[path = "../../support/pgbouncer.rs"]
mod pgbouncer;
#[path = "../../support/postgres.rs"]
mod postgres;
mod proxy;
mod service;

pub(crate) use client::{Client, PASSWORD, Reply, Session};
pub(crate) use collector::{Collector, TlsFiles, attribute, hex};
pub(crate) use lock::{Lock, at_work};
pub(crate) use pgbouncer::PgBouncer;
pub(crate) use postgres::Postgres;
pub(crate) use proxy::Proxy;
pub(crate) use service::{Engine, Service};

/// Asks again and again until the answer is there; fails after ten seconds.
///
/// The one place where tests wait for something that tells nobody when it happens.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(std::time::Instant::now() < deadline, "not within ten seconds: {what}");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

/// Declares a test that runs once on each store; the body gets the engine.
macro_rules! on_both_stores {
    ($(#[doc = $doc:literal])* async fn $name:ident($engine:ident) $body:block) => {
        mod $name {
            use super::*;

            async fn run($engine: $crate::support::Engine) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                run($crate::support::Engine::Sqlite).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                run($crate::support::Engine::Postgres).await;
            }
        }
    };
}
pub(crate) use on_both_stores;
