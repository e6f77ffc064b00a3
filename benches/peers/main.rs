//! The service beside other programs that answer the same request, one core each in turn: CPU time for each request,
//! memory, goodput under too much load, and the cost of being idle. See benches/README.md.
//!
//! `cargo bench --bench peers -- cost goodput rest` measures the tables that are named, and nothing without one.
//! `PEERS_ROUNDS` (default 9) and `PEERS_SECONDS` (default 2) set how long `cost` takes, `GOODPUT_ROUNDS` (default 3) and
//! `GOODPUT_SECONDS` (default 3, for each load) how long `goodput` does. `PEERS_ONLY` (such as `ours,baseline,bare`) names the programs. `BASELINE` is the
//! path of another build of the service, which is measured beside this one. `PEERS_UPDATE` writes the tables into the page.
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "nothing here is counted beyond 2^52"
)]

mod cost;
mod delay;
mod goodput;
mod load;
#[path = "../../tests/support/postgres.rs"]
mod postgres;
mod report;
mod requests;
mod rest;
mod server;
#[path = "../seen/sink.rs"]
mod sink;

use std::{fs, path::Path, time::Duration};

use postgres::Postgres;
use requests::TokenSigner;
use rustix::{
    process::setpriority_process,
    thread::{CpuSet, sched_setaffinity},
};
use server::{Environment, Program, Server};
use tokio::runtime::Runtime;

fn main() {
    let wanted = |table: &str| std::env::args().any(|argument| argument == table);
    if !["cost", "goodput", "rest"].into_iter().any(wanted) {
        return;
    }
    let core = leave_last_core();
    let number = |name: &str, default| setting(name).map_or(default, |text| text.parse().expect("a number"));
    let database_server = Postgres::get();
    let runtime = runtime();
    let database = runtime.block_on(database_server.database());
    let (collector, spans) = runtime.block_on(sink::start());
    let folder = tempfile::TempDir::new().expect("a folder");
    let mut environment = Environment { folder: folder.path().to_owned(), database, core, public_key: None };
    let signer = {
        let server = Server::start(Program::Ours, &environment, None);
        let token = runtime.block_on(server.sign_in());
        let key = fs::read_to_string(folder.path().join("data/signing-key.pem")).expect("the service has made its key");
        TokenSigner::new(key, &token)
    };
    environment.public_key = Some(signer.public_key().to_owned());

    if wanted("cost") {
        let (rounds, time) = (number("PEERS_ROUNDS", 9) as usize, Duration::from_secs(number("PEERS_SECONDS", 2)));
        publish("cost", &cost::measure(&runtime, &environment, &signer, (&collector, &spans), rounds, time));
    }
    if wanted("goodput") {
        let (rounds, time) = (number("GOODPUT_ROUNDS", 3) as usize, Duration::from_secs(number("GOODPUT_SECONDS", 3)));
        publish("goodput", &goodput::measure(&runtime, &environment, &signer, rounds, time));
    }
    if wanted("rest") {
        publish("rest", &rest::measure(&runtime, &environment, &signer));
    }
}

/// Leaves the last core to the servers: load and database run on the others. Returns its number.
fn leave_last_core() -> usize {
    let cores = std::thread::available_parallelism().expect("Linux knows").get();
    assert!(cores > 1, "servers need a core of their own");
    let mut others = CpuSet::new();
    (0..cores - 1).for_each(|core| others.set(core));
    sched_setaffinity(None, &others).expect("the core is there");
    cores - 1
}

/// A runtime whose threads leave the processor to the database when both want it: clients are elsewhere in production.
fn runtime() -> Runtime {
    let yield_to_database = || setpriority_process(None, 10).expect("a higher number is allowed");
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().on_thread_start(yield_to_database).build().expect("a runtime")
}

impl Program {
    /// Whether it is there and is not left out.
    fn is_wanted(self) -> bool {
        let key = format!("{self:?}").to_lowercase();
        let named = setting("PEERS_ONLY").is_none_or(|names| names.split(',').any(|name| name == key));
        let exists = self.path().is_some_and(|path| path.exists());
        assert!(exists || !named || self == Self::Baseline, "{self:?} is not built: run `make bench-peers`");
        named && exists
    }
}

#[expect(clippy::disallowed_methods, reason = "a benchmark's own settings are no settings of the service")]
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Prints a table, and with `PEERS_UPDATE` writes it into benches/README.md.
#[expect(clippy::print_stdout, reason = "a benchmark says what it measured")]
fn publish(name: &str, table: &str) {
    println!("{table}");
    if setting("PEERS_UPDATE").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/README.md");
        let page = fs::read_to_string(&path).expect("the page is there");
        let (begin, end) = (format!("<!-- {name} -->"), format!("<!-- /{name} -->"));
        let (before, rest) = page.split_once(&begin).expect("the page has a place for the table");
        let (_, after) = rest.split_once(&end).expect("the place has an end");
        fs::write(path, format!("{before}{begin}\n\n{table}\n{end}{after}")).expect("the page can be written");
    }
}
