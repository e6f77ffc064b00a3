//! Faults on purpose, in a process of their own: it hears who stops it, and what is told of its memory is told of no other.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::program::{Program, exchange, get, until};

fn put(program: &Program, faults: &serde_json::Value) {
    let (status, said) = ask(program, faults);
    assert_eq!(status, 200, "{said}");
}

fn ask(program: &Program, faults: &serde_json::Value) -> (u16, String) {
    let body = faults.to_string();
    let head = "PUT /debug/faults HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: ";
    exchange(program.internal, &format!("{head}{}\r\n\r\n{body}", body.len())).unwrap()
}

fn metric(program: &Program, series: &str) -> f64 {
    let metrics = get(program.internal, "/metrics").unwrap().1;
    let value = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok());
    value.unwrap_or_else(|| panic!("no {series}: {metrics}"))
}

#[test]
fn sigterm_is_heard_while_every_worker_is_blocked() {
    let program = Program::start(&[("GLASSHOUSE_FAULTS__ALLOWED", "true"), ("GLASSHOUSE_RUNTIME__WORKERS", "2")]);
    put(&program, &json!([{ "fault": "blocked_worker", "workers": 2 }]));
    let blocked = "glasshouse_faults_injected_total{fault=\"blocked_worker\"}";
    until("both are", || metric(&program, blocked) > 1.5);
    let asked = Instant::now();
    program.signal("TERM");
    let ended = program.wait();
    assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
    assert_eq!(ended.code, Some(0));
    let said: Vec<_> = ended.lines.iter().filter_map(|line| line["message"].as_str()).collect();
    assert!(said.contains(&"faults were ended") && said.last() == Some(&"stopped"), "{said:?}");
}

#[test]
fn who_is_stopping_is_not_broken_any_more() {
    let brief = ("GLASSHOUSE_SHUTDOWN__GRACE", "5s");
    let settings = [("GLASSHOUSE_FAULTS__ALLOWED", "true"), ("GLASSHOUSE_SHUTDOWN__NOTICE", "8s"), brief];
    let program = Program::start(&settings);
    program.signal("TERM");
    until("stopping has begun", || program.lines().iter().any(|(_, line)| line["message"] == "asked to stop"));
    let fault = json!([{ "fault": "refused_pool" }]);
    until("faults are refused", || ask(&program, &fault).0 == 409);
    program.signal("TERM");
    assert_eq!(program.wait().code, Some(1));
}

#[test]
fn leaked_memory_is_taken_from_the_machine_and_freed_at_the_end() {
    const MIB: f64 = 1024.0 * 1024.0;
    let program = Program::start(&[("GLASSHOUSE_FAULTS__ALLOWED", "true")]);
    let resident = || metric(&program, "process_resident_memory_bytes") / MIB;
    let allocated = || metric(&program, "jemalloc_allocated_bytes") / MIB;
    let (before, allocated_before) = (resident(), allocated());
    put(&program, &json!([{ "fault": "memory_leak", "per_second": "64MiB" }]));
    until("memory leaks", || resident() > before + 150.0);
    put(&program, &json!([]));
    // How much of it the allocator hands on to the system, and when, is the allocator's affair.
    until("it is freed", || allocated() < allocated_before + 20.0);
}
