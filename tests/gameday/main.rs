//! Game days: the stack runs under load, something is broken on purpose, and every alert must do what it is for. It goes
//! pending, fires, reaches whoever it is routed to, its page points at the cause, and it ends when the cause does.
//!
//! `cargo test` runs all of it on a faster clock; `make gameday` runs one fault or all of them on any clock, or has them
//! come and go for as long as is wanted; `make stack-local` leaves the stack standing.
#![allow(clippy::unwrap_used, reason = "a game day that panics has failed, and says where")]
#![expect(clippy::print_stdout, reason = "a program that people run, and that tells them how it goes")]

mod arguments;
mod cause;
#[path = "../service/support/collector.rs"]
#[allow(dead_code, reason = "shared with tests/service, which looks at what it keeps")]
mod collector;
mod diagnosed;
#[path = "../support/diagnosis.rs"]
mod diagnosis;
mod drill;
mod fault;
mod faults;
mod held;
mod history;
mod lanes;
#[path = "../support/page.rs"]
#[allow(dead_code, clippy::needless_pass_by_value, reason = "shared with tests/operate, which pastes whole pages")]
mod page;
#[path = "../service/support/proxy.rs"]
#[allow(dead_code, reason = "shared with tests/service, which has other wires")]
mod proxy;
mod shipped;
mod soak;
#[path = "../support/stack/mod.rs"]
#[allow(dead_code, unused_imports, reason = "shared with tests/operate, which needs more of it")]
mod stack;
mod stage;
mod standing;
mod table;

use std::process::ExitCode;

use arguments::Asked;

fn main() -> ExitCode {
    let asked = match arguments::parse(std::env::args().skip(1)) {
        Ok(asked) => asked,
        Err(complaint) => {
            println!("{complaint}");
            return ExitCode::FAILURE;
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    let passed = match asked {
        Asked::List => {
            faults::all().for_each(|fault| println!("{}: test", fault.name));
            true
        }
        Asked::Standing => runtime.block_on(standing::run()),
        Asked::Soak(length) => runtime.block_on(soak::run(length)),
        Asked::Drills(drills) => runtime.block_on(lanes::run(drills)),
    };
    // What still waits inside of the runtime, such as a connection that nobody closes, has nothing left to do.
    runtime.shutdown_background();
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
