//! The profiler never harms the process: profiles back to back, given up halfway, one over another, at both ends of the
//! frequencies, with the service under load all the time.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::{Duration, Instant},
};

use reqwest::Method;

use crate::{
    cpu::{alone, profile, timer_runs},
    guilty::{Guilty, burns, clears_memory},
    support::{Service, eventually},
};

/// How long; `SOAK_SECONDS` in the environment says otherwise.
#[expect(clippy::disallowed_methods, reason = "this is no setting of the service")]
fn length() -> Duration {
    let seconds = std::env::var("SOAK_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(10))
}

/// Whether the signal is caught, as the kernel tells it.
fn signal_is_caught() -> bool {
    const SIGPROF: u32 = 27;
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    u64::from_str_radix(caught.trim(), 16).unwrap() >> (SIGPROF - 1) & 1 == 1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn profiles_of_every_kind_at_once_do_no_harm() {
    let _alone = alone().await;
    let service = Service::start_with(crate::support::Engine::Sqlite, &[("GLASSHOUSE_RUNTIME__WORKERS", "4")]).await;
    let _guilty = [Guilty::on(&service.main, burns), Guilty::on(&service.main, clears_memory)];
    let end = Instant::now() + length();
    let over = AtomicBool::new(false);
    let profiling = async {
        let mut answered = 0;
        for frequency in [1, 100, 99, 7].iter().cycle() {
            // Given up, some before they have begun, each by force over the one before.
            for millis in [1, 40, 300, 700] {
                let request = profile(&service, "seconds=60&force=true");
                tokio::time::timeout(Duration::from_millis(millis), request).await.ok();
            }
            eventually("the last one given up is over", async || (!timer_runs()).then_some(())).await;
            // One, a second beside it, one over both of them, and nobody over that one.
            let query = format!("seconds=1&frequency={frequency}");
            let (first, last) = (format!("{query}&force=true"), format!("{query}&force=true&format=text"));
            let (first, (second, last)) = tokio::join!(profile(&service, &first), async {
                eventually("the first one runs", async || timer_runs().then_some(())).await;
                tokio::join!(profile(&service, &query), profile(&service, &last))
            });
            for status in [first.status().as_u16(), second.status().as_u16()] {
                assert!(matches!(status, 200 | 409), "{status}");
            }
            assert_eq!(last.status(), 200);
            answered += 1;
            if Instant::now() >= end {
                break;
            }
        }
        over.store(true, Relaxed);
        answered
    };
    let load = async {
        let client = service.client();
        let mut served = 0;
        while !over.load(Relaxed) {
            let reply = client.request(Method::GET, "/api/v1/users/nobody").send().await.unwrap();
            assert_eq!(reply.status(), 401);
            served += 1;
        }
        served
    };
    let (answered, served) = tokio::join!(profiling, load);

    assert!(answered > 0 && served > 0, "{answered} profiles, {served} requests");
    eventually("the last one is over", async || (profile(&service, "seconds=1").await.status() == 200).then_some(()))
        .await;
    assert!(signal_is_caught() && !timer_runs());
}
