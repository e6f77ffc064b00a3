//! What a program costs without requests: idle, and when Prometheus scrapes it.

use std::time::Duration;

use reqwest::header::{ACCEPT, ACCEPT_ENCODING};
use tokio::runtime::Runtime;

use super::{
    load::closed,
    report::Report,
    requests::TokenSigner,
    server::{Environment, Program, Server},
};

/// How long programs are left alone before they are looked at, and then while they are.
const SETTLE_TIME: Duration = Duration::from_secs(15);
const IDLE_TIME: Duration = Duration::from_secs(10);
const SCRAPES: usize = 100;
/// What Prometheus 3 asks for.
const PROMETHEUS_ACCEPT: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                                 application/openmetrics-text;version=0.0.1;q=0.5,\
                                 text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,\
                                 */*;q=0.2";

/// Measures each program after a second of load.
pub(crate) fn measure(runtime: &Runtime, environment: &Environment, signer: &TokenSigner) -> String {
    let requests = signer.same_token();
    let programs = Program::WHOLE.into_iter().filter(|program| program.is_wanted());
    let servers: Vec<(Program, Server)> =
        programs.map(|program| (program, Server::start(program, environment, None))).collect();
    for (_, server) in &servers {
        runtime.block_on(closed(server.address, 16, &requests, Duration::ZERO, Duration::from_secs(1)));
    }
    std::thread::sleep(SETTLE_TIME);
    let before: Vec<_> = servers.iter().map(|(_, server)| server.threads()).collect();
    std::thread::sleep(IDLE_TIME);
    let idle: Vec<_> =
        servers.iter().zip(&before).map(|((_, server), before)| server.threads().since(before)).collect();

    let mut report =
        Report::new(&["program", "idle 10 s: CPU ms", "context switches", "a scrape: CPU ms", "bytes", "bytes, gzip"]);
    for ((program, server), (cpu, switches)) in servers.iter().zip(idle) {
        let scrape = (*program != Program::Bare).then(|| runtime.block_on(scrape(server)));
        let [scrape_cpu, plain, gzip] = scrape.map_or([const { String::new() }; 3], |(cpu, plain, gzip)| {
            [format!("{cpu:.2}"), plain.to_string(), gzip.to_string()]
        });
        report.row(&[
            program.name().to_owned(),
            format!("{cpu:.1}"),
            format!("{switches:.0}"),
            scrape_cpu,
            plain,
            gzip,
        ]);
    }
    report.text()
}

/// CPU time of a compressed scrape in ms, and how many bytes it has without and with compression.
async fn scrape(server: &Server) -> (f64, usize, usize) {
    let client = reqwest::Client::new();
    let get = async |encoding: &str| {
        let request =
            client.get(&server.metrics_url).header(ACCEPT, PROMETHEUS_ACCEPT).header(ACCEPT_ENCODING, encoding);
        request.send().await.expect("an answer").bytes().await.expect("a page").len()
    };
    // The first adds series for the scrapes.
    get("gzip").await;
    let (plain, gzip) = (get("identity").await, get("gzip").await);
    let before = server.threads();
    for _ in 0..SCRAPES {
        get("gzip").await;
    }
    (server.threads().since(&before).0 / SCRAPES as f64, plain, gzip)
}
