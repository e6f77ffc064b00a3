//! Goodput: what is served under more load than can be served, by clients that wait for answers and by clients that do
//! not.

use std::{sync::Arc, time::Duration};

use tokio::runtime::Runtime;

use super::{
    delay,
    load::{Answers, closed, open},
    report::{Report, Spread},
    requests::{Requests, TokenSigner},
    server::{Environment, Program, Server},
};

/// Connections of the closed loop.
const CONNECTIONS: [usize; 5] = [64, 256, 512, 1024, 4096];
/// Rates of the open loop, in multiples of the best goodput of the closed loop.
const RATES: [f64; 3] = [2.0, 5.0, 20.0];
/// How far away the database is in the second open loop: few requests a second keep all of its connections busy.
const DISTANCE: Duration = Duration::from_millis(10);
/// The connections that find the best goodput then.
const DISTANT_CONNECTIONS: [usize; 1] = [24];
/// The objective for latency.
const OBJECTIVE: Duration = Duration::from_millis(250);
/// The time in which connections are opened and limits settle.
const WARM_UP: Duration = Duration::from_secs(2);

/// The outcome of one load on one program.
#[derive(Debug, Clone, Copy)]
struct Outcome {
    goodput: f64,
    /// Of the best goodput in the closed loop of the same round.
    share: f64,
    within_objective: f64,
    refused: f64,
    p99_ms: f64,
    /// Of the requests that were due.
    sent: f64,
}

/// All programs under one kind of load, round after round.
struct Bench<'a> {
    runtime: &'a Runtime,
    requests: Arc<Requests>,
    servers: Vec<(Program, Server)>,
    time: Duration,
}

/// Measures each program at each load for that time, in so many rounds.
pub(crate) fn measure(
    runtime: &Runtime,
    environment: &Environment,
    signer: &TokenSigner,
    rounds: usize,
    time: Duration,
) -> String {
    let bench = |environment: &Environment| {
        let programs = Program::WHOLE.into_iter().filter(|program| program.is_wanted());
        let servers = programs.map(|program| (program, Server::start(program, environment, None))).collect();
        Bench { runtime, requests: Arc::new(signer.same_token()), servers, time }
    };
    let near = bench(environment);
    let mut columns = vec!["load"];
    columns.extend(near.servers.iter().map(|(program, _)| program.name()));
    let mut report = Report::new(&columns);
    near.report(rounds, &CONNECTIONS, "", &mut report);
    drop(near);
    let database = runtime.block_on(delay::start(&environment.database, DISTANCE));
    let far = bench(&Environment { database, ..environment.clone() });
    far.report(rounds, &DISTANT_CONNECTIONS, ", database 10 ms away", &mut report);
    report.text()
}

impl Bench<'_> {
    /// Adds a row for each load.
    fn report(&self, rounds: usize, connections: &[usize], place: &str, report: &mut Report) {
        let rounds: Vec<_> = (0..rounds).map(|_| self.round(connections)).collect();
        let closed = connections.iter().map(|connections| format!("{connections} connections{place}"));
        let loads = closed.chain(RATES.iter().map(|times| format!("{times} × the best{place}")));
        for (at, load) in loads.enumerate() {
            let mut row = vec![load];
            for program in 0..self.servers.len() {
                let outcomes: Vec<Outcome> = rounds.iter().map(|round| round[at][program]).collect();
                row.push(cell(&outcomes));
            }
            report.row(&row);
        }
    }

    /// The outcomes of each load and each program.
    fn round(&self, connections: &[usize]) -> Vec<Vec<Outcome>> {
        let closed_loop = |connections: usize| {
            let load = |(_, server): &(Program, Server)| {
                self.runtime.block_on(closed(server.address, connections, &self.requests, WARM_UP, self.time))
            };
            self.servers.iter().map(load).collect()
        };
        let answers: Vec<Vec<Answers>> = connections.iter().map(|connections| closed_loop(*connections)).collect();
        let rate = |answers: &Answers| answers.served.len() as f64 / self.time.as_secs_f64();
        let best = |program: usize| answers.iter().map(|all| rate(&all[program])).fold(0.0, f64::max);
        let best: Vec<f64> = (0..self.servers.len()).map(best).collect();
        let outcomes = |all: &Vec<Answers>| {
            all.iter().zip(&best).map(|(answers, best)| self.outcome(answers, *best, 1.0)).collect::<Vec<_>>()
        };
        let mut loads: Vec<Vec<Outcome>> = answers.iter().map(outcomes).collect();
        for times in RATES {
            let open_loop = |((_, server), best): (&(Program, Server), &f64)| {
                let due = times * best;
                let load = open(server.address, due, &self.requests, self.time);
                let (answers, sent) = self.runtime.block_on(load);
                self.outcome(&answers, *best, sent as f64 / self.time.as_secs_f64() / due)
            };
            loads.push(self.servers.iter().zip(&best).map(open_loop).collect());
        }
        loads
    }

    fn outcome(&self, answers: &Answers, best: f64, sent: f64) -> Outcome {
        let goodput = answers.served.len() as f64 / self.time.as_secs_f64();
        Outcome {
            goodput,
            share: goodput / best,
            within_objective: answers.served_within(OBJECTIVE) as f64 / self.time.as_secs_f64(),
            refused: answers.refused_share(),
            p99_ms: answers.quantile(0.99).as_secs_f64() * 1e3,
            sent,
        }
    }
}

/// The medians of the rounds.
fn cell(outcomes: &[Outcome]) -> String {
    let median = |of: fn(&Outcome) -> f64| Spread::of(outcomes.iter().map(of)).median;
    let (goodput, within) = (median(|outcome| outcome.goodput), median(|outcome| outcome.within_objective));
    let late = if within < 0.99 * goodput { format!(", {within:.0}/s within 250 ms") } else { String::new() };
    let sent = median(|outcome| outcome.sent);
    let short = if sent < 0.95 { format!(", {:.0} % of the load sent", 100.0 * sent) } else { String::new() };
    format!(
        "{goodput:.0}/s ({:.0} %), p99 {:.0} ms, {:.0} % refused{late}{short}",
        100.0 * median(|outcome| outcome.share),
        median(|outcome| outcome.p99_ms),
        100.0 * median(|outcome| outcome.refused),
    )
}
