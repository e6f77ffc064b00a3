//! What the service is worth when five times as much is asked as it can do: the release binary on PostgreSQL, with
//! sign-ins, which spend processors, and with reads from a database that takes 10 ms, which spend connections. How much
//! it does at best, how much of that in the crush, how long those wait who are served, what it does to memory, how soon
//! all is well again; what many clients that sign in do to one that reads; and what a refusal costs beside a request that
//! is served.
//!
//! The client shares the machine with the service, so its cores are less than they look. `OVERLOAD_SECONDS` (default 20)
//! is how long a crush lasts.
#![expect(clippy::cast_precision_loss, reason = "nothing here is counted beyond 2^52")]

mod load;
#[path = "../../tests/support/postgres.rs"]
mod postgres;
#[path = "../seen/server.rs"]
mod server;

use std::time::{Duration, Instant};

use load::Target;
use postgres::Postgres;
use serde_json::json;
use server::Server;

/// How much more than it can do.
const TIMES: f64 = 5.0;
/// Somebody who reads, and goes on reading.
const READS_A_SECOND: f64 = 50.0;

fn main() {
    // `cargo test --benches` runs this too; only `cargo bench` wants the measurement.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let crush = Duration::from_secs(setting("OVERLOAD_SECONDS").map_or(20, |text| text.parse().expect("a number")));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let database = runtime.block_on(Postgres::get().database());
    let folder = tempfile::TempDir::new().expect("a folder");
    let settings = [
        ("GLASSHOUSE_LOG__FORMAT", "json"),
        ("GLASSHOUSE_FAULTS__ALLOWED", "true"),
        // All sign in to the account that also reads: with the default, its session would be the oldest one, and end.
        ("GLASSHOUSE_AUTH__MAX_SESSIONS", "10000"),
    ];
    let server = Server::start(&folder, &database, None, &settings);
    let reads = Target::reads(server.address, &server.token());
    let sign_ins = Target::sign_ins(server.address);

    let alone = runtime.block_on(load::open(&reads, READS_A_SECOND, crush / 4));
    say(&format!("reads alone: {}", alone.told()));
    let best = runtime.block_on(measure("sign-ins", &server, &sign_ins, 8, crush));
    let both =
        async { tokio::join!(load::open(&sign_ins, TIMES * best, crush), load::open(&reads, READS_A_SECOND, crush)) };
    let (_, beside) = runtime.block_on(both);
    assert!(!beside.has_failed(), "reads beside sign-ins: {}", beside.told());
    say(&format!("reads while {:.0} sign in a second: {}\n", TIMES * best, beside.told()));

    runtime.block_on(cost_of_refusal(&server, &reads, crush / 4));
    // Each read of a session takes 10 ms, as on a database that is far away or busy.
    let slow = json!([{ "fault": "delay", "statement": "SELECT sessions", "for": "10ms" }]);
    runtime.block_on(inject(&server, &slow));
    runtime.block_on(measure("reads", &server, &reads, 24, crush));
}

/// The CPU time of a refusal, with the hold before it, beside that of a request that is served.
async fn cost_of_refusal(server: &Server, target: &Target, time: Duration) {
    let cost = async |clients| {
        let before = server.cpu();
        let answers = load::closed(target, clients, time).await;
        (answers, (server.cpu() - before) * 1e6)
    };
    let (answers, cpu) = cost(16).await;
    let full = cpu / answers.served() as f64;
    // What has begun does not end: all who come now are refused.
    inject(server, &json!([{ "fault": "hang", "statement": "SELECT sessions" }])).await;
    let (answers, cpu) = cost(800).await;
    let refusal = cpu / answers.refused() as f64;
    say(&format!(
        "a request that is served costs {full:.0} µs, a refusal {refusal:.0} µs: {:.2} of it ({} were refused)\n",
        refusal / full,
        answers.refused()
    ));
}

async fn inject(server: &Server, faults: &serde_json::Value) {
    let faults = faults.to_string();
    let url = format!("http://{}/debug/faults?for=1h", server.internal);
    let answer = reqwest::Client::new().put(url).body(faults).send().await.expect("the internal port answers");
    assert!(answer.status().is_success(), "{}", answer.status());
}

/// At best, in the crush, and afterwards.
async fn measure(what: &str, server: &Server, target: &Target, clients: usize, crush: Duration) -> f64 {
    // The first shows the service what it can do.
    load::closed(target, clients, crush / 4).await;
    let at_best = load::closed(target, clients, crush / 2).await;
    let best = at_best.goodput(crush / 2);
    assert!(best > 0.0 && !at_best.has_failed(), "{what}: {}", at_best.told());
    say(&format!("{what}, {clients} clients who wait for their answers: {best:.0} done a second, {}", at_best.told()));
    let (before, cpu) = (resident(server).await, server.cpu());
    let halfway = async {
        tokio::time::sleep(crush / 2).await;
        resident(server).await
    };
    let (crushed, halfway) = tokio::join!(load::open(target, TIMES * best, crush), halfway);
    let (after, cpu) = (resident(server).await, (server.cpu() - cpu) / crush.as_secs_f64());
    let recovered = recovered(target).await;
    let goodput = crushed.goodput(crush);
    say(&format!(
        "{what}, {:.0} a second: {goodput:.0} done a second ({:.0} % of the best), {}\n  \
         {cpu:.2} cores, memory {before:.0} MiB before, {halfway:.0} MiB halfway, {after:.0} MiB after; well again \
         after {} ms\n",
        TIMES * best,
        100.0 * goodput / best,
        crushed.told(),
        recovered.as_millis()
    ));
    best
}

/// When the last request was not served within 100 ms, counted from the end of the load; looked at for three seconds.
async fn recovered(target: &Target) -> Duration {
    let (end, mut last) = (Instant::now(), Duration::ZERO);
    while end.elapsed() < Duration::from_secs(3) {
        let answers = load::open(target, 20.0, Duration::from_millis(100)).await;
        if !answers.all_within(Duration::from_millis(100)) {
            last = end.elapsed();
        }
    }
    last
}

/// MiB in RAM, as the service says.
async fn resident(server: &Server) -> f64 {
    let page = reqwest::get(format!("http://{}/metrics", server.internal)).await.expect("the internal port answers");
    let page = page.text().await.expect("a page");
    let value = page.lines().find_map(|line| line.strip_prefix("process_resident_memory_bytes ")?.parse::<f64>().ok());
    value.expect("the series is there") / 1024.0 / 1024.0
}

#[expect(clippy::disallowed_methods, reason = "a benchmark's own settings are no settings of the service")]
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[expect(clippy::print_stdout, reason = "a benchmark says what it measured")]
fn say(line: &str) {
    println!("{line}");
}
