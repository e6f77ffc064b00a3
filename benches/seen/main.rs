//! The cost of being seen: the release binary under load with telemetry off, with metrics and logs, with a tenth of
//! all traces, with all of them; in short slices that take turns, against the same PostgreSQL.
//!
//! CPU time of the service for each request is the figure to trust: throughput on a shared machine is noisy. Ratios
//! are taken within a round, so that what slows the machine down slows both sides.
//!
//! `SEEN_ROUNDS` (default 12) and `SEEN_SECONDS` (default 2) set how long it takes.
#![expect(clippy::cast_precision_loss, reason = "nothing here is counted beyond 2^52")]

mod load;
#[path = "../../tests/support/postgres.rs"]
mod postgres;
mod server;
mod sink;

use load::Slice;
use postgres::Postgres;
use server::Server;

/// Each way of being seen, and the settings that make it.
const MODES: [(&str, &[(&str, &str)]); 5] = [
    ("off", &[("OTEL_SDK_DISABLED", "true"), ("GLASSHOUSE_LOG__FILTER", "off")]),
    ("metrics", &[("GLASSHOUSE_LOG__FILTER", "off")]),
    ("metrics and logs", &[]),
    ("and 10 % of traces", &[("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0.1")]),
    ("and all traces", &[("OTEL_TRACES_SAMPLER", "parentbased_always_on")]),
];

fn main() {
    // `cargo test --benches` runs this too; only `cargo bench` wants the measurement.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let number = |name: &str, default| setting(name).map_or(default, |text| text.parse().expect("a number"));
    let (rounds, seconds): (usize, u64) = (number("SEEN_ROUNDS", 12), number("SEEN_SECONDS", 2) as u64);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let database = runtime.block_on(Postgres::get().database());
    let collector = runtime.block_on(sink::start());
    let folder = tempfile::TempDir::new().expect("a folder");
    let servers: Vec<Server> = MODES
        .iter()
        .map(|(name, settings)| {
            let traced = name.contains("traces").then_some(collector.as_str());
            Server::start(&folder, &database, traced, settings)
        })
        .collect();
    let token = servers[0].token();
    let slice = |server: &Server, seconds| runtime.block_on(load::slice(server, &token, seconds));
    for server in &servers {
        slice(server, 1);
    }
    let mut measured: Vec<Vec<Slice>> = vec![Vec::new(); MODES.len()];
    for round in 0..rounds {
        for turn in 0..MODES.len() {
            // Each round begins with another mode, so that none always comes after the same.
            let mode = (round + turn) % MODES.len();
            measured[mode].push(slice(&servers[mode], seconds));
        }
    }
    report(&measured);
}

#[expect(clippy::disallowed_methods, reason = "a benchmark's own settings are no settings of the service")]
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[expect(clippy::print_stdout, reason = "a benchmark says what it measured")]
fn report(measured: &[Vec<Slice>]) {
    println!(
        "{:<20} {:>14} {:>12} {:>26} {:>26}",
        "mode", "CPU µs/request", "requests/s", "CPU, ratio to off", "throughput, ratio to off"
    );
    for ((name, _), slices) in MODES.iter().zip(measured) {
        let column = |of: fn(&Slice) -> f64| median(slices.iter().map(of).collect());
        let ratio = |of: fn(&Slice) -> f64| {
            let pairs: Vec<f64> = slices.iter().zip(&measured[0]).map(|(slice, off)| of(slice) / of(off)).collect();
            let (low, high) =
                pairs.iter().fold((f64::MAX, f64::MIN), |(low, high), &ratio| (low.min(ratio), high.max(ratio)));
            format!("{:.3} ({low:.2} to {high:.2})", median(pairs))
        };
        println!(
            "{name:<20} {:>14.1} {:>12.0} {:>26} {:>26}",
            column(Slice::cpu_micros),
            column(Slice::rate),
            ratio(Slice::cpu_micros),
            ratio(Slice::rate)
        );
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
