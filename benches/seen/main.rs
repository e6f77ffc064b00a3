//! The cost of being seen: the release binary under load with telemetry off, with metrics and logs, with a tenth of
//! all traces, with all of them; and the cost of being looked at, with each tool of the internal port. In short slices
//! that take turns, against the same PostgreSQL.
//!
//! CPU time of the service for each request is the figure to trust: throughput on a shared machine is noisy. Ratios
//! are taken within a round, so that what slows the machine down slows both sides.
//!
//! `SEEN_ROUNDS` (default 12) and `SEEN_SECONDS` (default 2) set how long it takes.
#![expect(clippy::cast_precision_loss, reason = "nothing here is counted beyond 2^52")]

mod load;
mod modes;
#[path = "../../tests/support/postgres.rs"]
mod postgres;
mod server;
mod sink;

use load::Slice;
use modes::Mode;
use postgres::Postgres;
use server::Server;

fn main() {
    // `cargo test --benches` runs this too; only `cargo bench` wants the measurement.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let number = |name: &str, default| setting(name).map_or(default, |text| text.parse().expect("a number"));
    let (rounds, seconds): (usize, u64) = (number("SEEN_ROUNDS", 12), number("SEEN_SECONDS", 2) as u64);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let database = runtime.block_on(Postgres::get().database());
    let (collector, _) = runtime.block_on(sink::start());
    let folder = tempfile::TempDir::new().expect("a folder");
    for modes in [modes::TELEMETRY, modes::TOOLS] {
        let start = |mode: &Mode| {
            let collector = mode.traced.then_some(collector.as_str());
            Server::start(&folder, &database, collector, mode.settings)
        };
        let servers: Vec<Server> = modes.iter().map(start).collect();
        let token = servers[0].token();
        let slice = |at: usize, seconds| runtime.block_on(load::slice(&servers[at], &modes[at], &token, seconds));
        for at in 0..modes.len() {
            slice(at, 1);
        }
        let mut measured: Vec<Vec<Slice>> = vec![Vec::new(); modes.len()];
        for round in 0..rounds {
            for turn in 0..modes.len() {
                // Each round begins with another mode, so that none always comes after the same.
                let at = (round + turn) % modes.len();
                measured[at].push(slice(at, seconds));
            }
        }
        report(modes, &measured);
    }
}

#[expect(clippy::disallowed_methods, reason = "a benchmark's own settings are no settings of the service")]
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[expect(clippy::print_stdout, reason = "a benchmark says what it measured")]
fn report(modes: &[Mode], measured: &[Vec<Slice>]) {
    println!(
        "{:<24} {:>14} {:>12} {:>26} {:>26}",
        "mode", "CPU µs/request", "requests/s", "CPU, ratio to the first", "throughput, the same"
    );
    for (Mode { name, .. }, slices) in modes.iter().zip(measured) {
        let column = |of: fn(&Slice) -> f64| median(slices.iter().map(of).collect());
        let ratio = |of: fn(&Slice) -> f64| {
            let pairs: Vec<f64> = slices.iter().zip(&measured[0]).map(|(slice, first)| of(slice) / of(first)).collect();
            let (low, high) =
                pairs.iter().fold((f64::MAX, f64::MIN), |(low, high), &ratio| (low.min(ratio), high.max(ratio)));
            format!("{:.3} ({low:.2} to {high:.2})", median(pairs))
        };
        println!(
            "{name:<24} {:>14.1} {:>12.0} {:>26} {:>26}",
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
