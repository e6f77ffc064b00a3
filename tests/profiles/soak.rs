//! The profiler never harms the process: profiles back to back, given up halfway, one over another, at both ends of the
//! frequencies, with the service under load all the time.

use std::{
    sync::atomic::{AtomicU32, Ordering::Relaxed},
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
    let goes_on = || Instant::now() < end;
    let (answered, refused, served) = (AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0));
    let count = |status: u16| match status {
        200 => answered.fetch_add(1, Relaxed),
        409 => refused.fetch_add(1, Relaxed),
        other => panic!("{other}"),
    };

    let back_to_back = async {
        for frequency in [1, 100, 99, 7].iter().cycle().take_while(|_| goes_on()) {
            count(profile(&service, &format!("seconds=1&frequency={frequency}")).await.status().as_u16());
        }
    };
    let by_force = async {
        while goes_on() {
            count(profile(&service, "seconds=2&force=true&format=text").await.status().as_u16());
        }
    };
    let given_up = async {
        for millis in [1_u64, 40, 300, 700].iter().cycle().take_while(|_| goes_on()) {
            let request = profile(&service, "seconds=60&force=true");
            tokio::time::timeout(Duration::from_millis(*millis), request).await.ok();
        }
    };
    let load = async {
        let client = service.client();
        while goes_on() {
            let reply = client.request(Method::GET, "/api/v1/users/nobody").send().await.unwrap();
            assert_eq!(reply.status(), 401);
            served.fetch_add(1, Relaxed);
        }
    };
    tokio::join!(back_to_back, by_force, given_up, load);

    assert!(answered.load(Relaxed) > 0 && refused.load(Relaxed) > 0 && served.load(Relaxed) > 0);
    eventually("the last one is over", async || (profile(&service, "seconds=1").await.status() == 200).then_some(()))
        .await;
    assert!(signal_is_caught() && !timer_runs());
}
