//! CPU profiles: who burns is named, whatever the main runtime does, and nobody who asks can do harm.

use std::time::{Duration, Instant};

use reqwest::{Response, header::HeaderMap};
use tokio::sync::{Mutex, MutexGuard};

use crate::{
    decoded::Decoded,
    guilty::{BURNS_FROM, BURNS_TO, Guilty, burns, clears_memory},
    support::{Service, eventually},
};

/// There is one timer in a process, so these tests take turns.
pub(crate) async fn alone() -> MutexGuard<'static, ()> {
    static TIMER: Mutex<()> = Mutex::const_new(());
    TIMER.lock().await
}

pub(crate) async fn profile(service: &Service, query: &str) -> Response {
    service.internal(&format!("/debug/pprof/profile?{query}")).await
}

async fn decoded(service: &Service, query: &str) -> Decoded {
    let reply = profile(service, query).await;
    assert_eq!(reply.status(), 200);
    Decoded::of(&reply.bytes().await.unwrap())
}

fn assert_refused(headers: &HeaderMap) {
    assert_eq!(headers["x-go-pprof"], "1");
    assert_eq!(headers["content-type"], "text/plain; charset=utf-8");
}

#[tokio::test]
async fn what_burns_is_on_top_with_its_line_and_its_thread() {
    let _alone = alone().await;
    let service = Service::start().await;
    let _guilty = Guilty::on(&service.main, burns);
    let reply = profile(&service, "seconds=1&frequency=100").await;
    assert_eq!(reply.status(), 200);
    assert_eq!(reply.headers()["content-type"], "application/octet-stream");
    assert_eq!(reply.headers()["content-disposition"], "attachment; filename=\"profile\"");
    assert!(reply.headers().get("content-encoding").is_none());

    let profile = Decoded::of(&reply.bytes().await.unwrap());
    let pair = |name: &str, unit: &str| (name.to_owned(), unit.to_owned());
    assert_eq!(profile.measures, [pair("samples", "count"), pair("cpu", "nanoseconds")]);
    assert_eq!(profile.period, 10_000_000);
    assert!((1_000_000_000..2_000_000_000).contains(&profile.duration_nanos), "{}", profile.duration_nanos);
    let (name, _) = profile.top();
    assert!(name.ends_with("guilty::burns"), "{name}: {profile:#?}");
    let burning: Vec<_> = profile.samples.iter().filter(|sample| sample.stack[0].name == name).collect();
    for sample in &burning {
        let leaf = &sample.stack[0];
        assert!(leaf.file.ends_with("tests/profiles/guilty.rs"), "{leaf:?}");
        assert!((i64::from(BURNS_FROM)..i64::from(BURNS_TO)).contains(&leaf.line), "{leaf:?}");
        assert_eq!(sample.labels["thread"], "main");
        assert_eq!(sample.values[1], sample.values[0] * profile.period);
        // To the very beginning of the thread, with the task's own code in between.
        let has = |part: &str| sample.stack.iter().any(|frame| frame.name.contains(part));
        assert!(has("Guilty>::on::{closure#0}") || has("Guilty::on::{{closure}}"), "{sample:#?}");
        assert!(has("worker::run") && has("thread_start"), "{sample:#?}");
    }
}

#[tokio::test]
async fn with_every_worker_stuck_the_profile_still_names_who_does_it() {
    let _alone = alone().await;
    let service = Service::start().await;
    let _guilty = [Guilty::on(&service.main, burns), Guilty::on(&service.main, burns)];
    let text = profile(&service, "seconds=1&format=text").await.text().await.unwrap();
    let functions = text.split("function\n").nth(1).unwrap();
    assert!(functions.lines().next().unwrap().ends_with("guilty::burns"), "{text}");
    assert!(text.contains("thread: main"), "{text}");
    let svg = profile(&service, "seconds=1&format=svg").await;
    assert_eq!(svg.headers()["content-type"], "image/svg+xml");
    assert!(svg.text().await.unwrap().contains("guilty::burns"));
}

#[tokio::test]
async fn a_function_of_the_c_library_is_laid_at_its_callers_door() {
    let _alone = alone().await;
    let service = Service::start().await;
    let _guilty = Guilty::on(&service.main, clears_memory);
    let profile = decoded(&service, "seconds=1").await;
    let (name, _) = profile.top();
    assert!(name.contains("memset"), "{name}: {profile:#?}");
    for sample in profile.samples.iter().filter(|sample| sample.stack[0].name == name) {
        let caller = &sample.stack[1];
        assert!(caller.name.ends_with("guilty::clears_memory"), "{sample:#?}");
        assert!(caller.file.ends_with("tests/profiles/guilty.rs"), "{sample:#?}");
    }
}

#[tokio::test]
async fn parameters_out_of_bounds_are_refused_in_words() {
    let service = Service::start().await;
    for (query, word) in [
        ("seconds=301", "seconds"),
        ("frequency=0", "frequency"),
        ("frequency=101", "frequency"),
        ("frequency=often", "frequency"),
        ("format=png", "format"),
        ("force=perhaps", "force"),
        ("frequency=%FF", "frequency"),
    ] {
        let reply = profile(&service, query).await;
        assert_eq!(reply.status(), 400, "{query}");
        assert_refused(reply.headers());
        assert!(reply.text().await.unwrap().starts_with(word), "{query}");
    }
    for path in ["/debug/pprof/nothing", "/debug/pprof/profile/", "/debug/pprof/profile/x"] {
        let reply = service.internal(path).await;
        assert_eq!(reply.status(), 404, "{path}");
        assert_refused(reply.headers());
    }
}

/// Begins a profile that lasts, and waits until it does.
#[expect(clippy::disallowed_methods, reason = "the client is no task of the service")]
async fn long(service: &Service) -> tokio::task::JoinHandle<Response> {
    let request = service.ask("/debug/pprof/profile?seconds=60&force=true");
    let running = tokio::spawn(async move { request.send().await.unwrap() });
    eventually("it runs", async || timer_runs().then_some(())).await;
    running
}

#[tokio::test]
async fn cpu_profiles_of_one_frequency_share_the_sampler() {
    let _alone = alone().await;
    let service = Service::start().await;
    let _guilty = Guilty::on(&service.main, burns);
    let long = long(&service).await;
    let (one, other) = tokio::join!(decoded(&service, "seconds=1"), decoded(&service, "seconds=2"));
    for (profile, seconds) in [(one, 1), (other, 2)] {
        assert!(profile.top().0.ends_with("guilty::burns"), "{profile:#?}");
        assert!(profile.duration_nanos >= seconds * 1_000_000_000, "{}", profile.duration_nanos);
    }
    assert!(timer_runs() && !long.is_finished(), "the first profile goes on");
    long.abort();
    eventually("the timer is off", async || (!timer_runs()).then_some(())).await;
}

#[tokio::test]
async fn cpu_profile_of_another_frequency_is_refused_or_takes_over_by_force() {
    let _alone = alone().await;
    let service = Service::start().await;
    let long = long(&service).await;
    let second = profile(&service, "frequency=50").await;
    assert_eq!(second.status(), 409);
    assert_refused(second.headers());
    assert!(second.text().await.unwrap().contains("force=true"));

    let forced = profile(&service, "seconds=1&frequency=50&force=true").await;
    assert_eq!(forced.status(), 200);
    let given_up = long.await.unwrap();
    assert_eq!(given_up.status(), 409);
    assert_refused(given_up.headers());
    assert!(given_up.text().await.unwrap().contains("took over"));
}

#[tokio::test]
async fn a_client_that_goes_away_takes_its_profile_along() {
    let _alone = alone().await;
    let service = Service::start().await;
    let long = long(&service).await;
    let left = Instant::now();
    long.abort();
    eventually("the timer is off", async || (!timer_runs()).then_some(())).await;
    assert!(left.elapsed() < Duration::from_secs(2), "{:?}", left.elapsed());
    eventually("the turn is free", async || (profile(&service, "seconds=1").await.status() == 200).then_some(())).await;
    assert!(!timer_runs(), "a profile that was taken costs nothing any more");
}

/// Whether this process is interrupted for profiles.
#[expect(unsafe_code, reason = "only the system call tells")]
pub(crate) fn timer_runs() -> bool {
    // SAFETY: zeroes are a valid timer, and it lives during the call.
    let timer = unsafe {
        let mut timer: libc::itimerval = std::mem::zeroed();
        assert_eq!(libc::getitimer(libc::ITIMER_PROF, &raw mut timer), 0);
        timer
    };
    timer.it_interval.tv_sec > 0 || timer.it_interval.tv_usec > 0
}
